"""``parameterNodeWrapper``: typed attributes kept in a parameter node, and connected to widgets."""

import copy
import typing

import slicer
import vtk

from .parameter_gui import createGuiConnector
from .parameter_serializers import createSerializer
from .parameter_types import Default, firstAnnotation, splitAnnotations

SLICER_PARAMETER_NAME = "SlicerParameterName"


class Parameter:
    """Type, serializer and default of one parameter."""

    def __init__(self, datatype, serializer, default):
        self.datatype, self.serializer, self.default = datatype, serializer, default


def describe(cls):
    """{name: Parameter} of the annotated attributes of ``cls``; Exception for a type that cannot be kept."""
    parameters = {}
    for name, datatype in typing.get_type_hints(cls, include_extras=True).items():
        inner, annotations = splitAnnotations(datatype)
        try:
            serializer = createSerializer(inner, annotations)
        except Exception as error:
            raise Exception(f"Unable to create serializer for {cls} member {name}") from error
        annotated = firstAnnotation(datatype, Default)
        if hasattr(cls, name):
            default = Default(getattr(cls, name))
        else:
            default = annotated or Default(generator=serializer.default)
        parameters[name] = Parameter(datatype, serializer, lambda default=default: copy.copy(default.value))
    return parameters


def parameterNodeWrapper(cls):
    """Class decorator: each annotated attribute becomes a parameter of the node given to the constructor."""
    parameters = describe(cls)
    for name in ("allParameters", *_METHODS):
        if hasattr(cls, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    cls.allParameters = parameters
    for name, parameter in parameters.items():
        setattr(cls, name, _property(name, parameter))
    for name, method in _METHODS.items():
        setattr(cls, name, method)
    cls.__init__ = _initialize
    return cls


def isParameterNodeWrapper(classOrObject):
    """True for a class made by parameterNodeWrapper, and its objects."""
    return hasattr(classOrObject, "connectParametersToGui")


def _property(name, parameter):
    return property(
        lambda self: parameter.serializer.read(self.parameterNode, name),
        lambda self, value: _write(self.parameterNode, name, parameter, value),
    )


def _write(node, name, parameter, value):
    with slicer.util.NodeModify(node):
        parameter.serializer.write(node, name, value)


def _initialize(self, parameterNode, prefix=None):
    if prefix:
        raise NotImplementedError("The MedGAN test host's parameterNodeWrapper has no prefix.")
    self.parameterNode = parameterNode
    self._connections, self._updating, self._nextTag = {}, False, 0
    for name, parameter in self.allParameters.items():
        if not parameter.serializer.isIn(parameterNode, name):
            parameter.serializer.write(parameterNode, name, parameter.default())


def _check(self, name):
    top, _, member = name.partition(".")
    if top not in self.allParameters:
        known = "".join(f"\n    {known}," for known in self.allParameters)
        raise ValueError(f"Cannot find a param with the given name: {top}\n  Found parameters [{known}\n  ]")
    return top, member


def getValue(self, name):
    """Value of the parameter ``name``, dotted for a member of a pack."""
    top, member = _check(self, name)
    value = getattr(self, top)
    for part in member.split(".") if member else ():
        value = value.getValue(part)
    return value


def setValue(self, name, value):
    """Set the parameter ``name``, dotted for a member of a pack."""
    top, member = _check(self, name)
    owner = self
    path = [top, *member.split(".")] if member else [top]
    for part in path[:-1]:
        owner = getattr(owner, part)
    setattr(owner, path[-1], value)


def default(self, name):
    """Default (with attribute ``value``) of a parameter."""
    return Default(self.allParameters[_check(self, name)[0]].default())


def dataType(self, name):
    """Declared type of a parameter."""
    top, member = _check(self, name)
    datatype = self.allParameters[top].datatype
    for part in member.split(".") if member else ():
        datatype = splitAnnotations(datatype)[0].dataType(part)
    return datatype


def connectGui(self, gui):
    """Connect every widget with the property SlicerParameterName; a tag for disconnectGui."""
    import qt

    isWidget = getattr(gui, "isWidgetType", lambda: False)()
    widgets = gui.findChildren(qt.QWidget) if isWidget else gui.__dict__.values()
    named = {widget.property(SLICER_PARAMETER_NAME): widget for widget in widgets}
    named.pop(None, None)
    return self.connectParametersToGui({name: widget for name, widget in named.items() if name})


def connectParametersToGui(self, mapping):
    """Connect {parameter name: widget}: first the parameter goes to the widget, then each follows the other."""
    for name in mapping:
        _check(self, name)
    connectors = {name: createGuiConnector(widget, self.dataType(name)) for name, widget in mapping.items()}
    tag, self._nextTag = self._nextTag, self._nextTag + 1
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.connect(lambda name=name, connector=connector: _readFromGui(self, name, connector))
    observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _writeToGui(self))
    self._connections[tag] = (connectors, observer)
    return tag


def _readFromGui(self, name, connector):
    if not self._updating:
        with slicer.util.NodeModify(self.parameterNode):
            self.setValue(name, connector.read())


def _writeToGui(self):
    if self._updating:
        return
    self._updating = True
    try:
        for connectors, _ in self._connections.values():
            for name, connector in connectors.items():
                connector.write(self.getValue(name))
    finally:
        self._updating = False


def disconnectGui(self, tag):
    """Undo connectGui."""
    connectors, observer = self._connections.pop(tag, ({}, None))
    for connector in connectors.values():
        connector.disconnect()
    if observer is not None:
        self.RemoveObserver(observer)


_METHODS = {
    "getValue": getValue,
    "setValue": setValue,
    "default": default,
    "dataType": dataType,
    "isCached": lambda self, name: not isinstance(self.getValue(name), slicer.vtkMRMLNode),
    "connectGui": connectGui,
    "connectParametersToGui": connectParametersToGui,
    "disconnectGui": disconnectGui,
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    ),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
    "Modified": lambda self: self.parameterNode.Modified(),
}
