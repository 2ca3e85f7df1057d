"""Annotations and validators of ``slicer.parameterNodeWrapper``."""

import types
import typing


class Default:
    """Default value of a parameter: ``Annotated[int, Default(5)]``; ``generator`` makes a new one each time."""

    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator is not None else self._value


class Decimals:
    """Number of decimals that a connected widget shows."""

    def __init__(self, value):
        self.value = value


class SingleStep:
    """Step of a connected widget."""

    def __init__(self, value):
        self.value = value


class Validator:
    """Base of all validators: ``validate`` raises when a value is not allowed."""

    def validate(self, value):
        raise NotImplementedError


class NotNone(Validator):
    """Any value but None."""

    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


class IsInstance(Validator):
    """None or an object of a class."""

    def __init__(self, classtype):
        self.classtype = classtype

    def validate(self, value):
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"Value must be of type '{self.classtype}', is type '{type(value)}' value '{value}'")


class Minimum(Validator):
    """At least ``minimum``."""

    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be greater than {self.minimum}, is {value}")


class Maximum(Validator):
    """At most ``maximum``."""

    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be greater than {self.maximum}, is {value}")


class WithinRange(Validator):
    """Between two values, both allowed."""

    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Choice(Validator):
    """One of ``choices``."""

    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class Exclude(Validator):
    """None of ``excludedValues``."""

    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(
                f"Value is {value}, but must not be an excluded value: excluded values {self.excludedValues}"
            )


class RangeBounds(Validator):
    """Bounds of a FloatRange."""

    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if value.minimum < self.minimum or value.maximum > self.maximum:
            raise ValueError(
                f"Range must be within the bound of [{self.minimum}, {self.maximum}], "
                f"is [{value.minimum}, {value.maximum}]"
            )


class FloatRange:
    """Two numbers, the smaller first."""

    def __init__(self, minimum=0, maximum=0):
        if not minimum <= maximum:
            raise ValueError(f"FloatRange must have minimum <= maximum: {minimum} <= {maximum}")
        self.minimum, self.maximum = minimum, maximum

    def __eq__(self, other):
        return isinstance(other, FloatRange) and (self.minimum, self.maximum) == (other.minimum, other.maximum)

    def __hash__(self):
        return hash((self.minimum, self.maximum))

    def __repr__(self):
        return f"FloatRange(minimum={self.minimum}, maximum={self.maximum})"


def splitAnnotations(datatype):
    """(type, list of annotations) of a possibly annotated type."""
    if typing.get_origin(datatype) is typing.Annotated:
        inner, *annotations = typing.get_args(datatype)
        return inner, annotations
    return datatype, []


def firstAnnotation(datatype, kind):
    """The first annotation of class ``kind``, or None."""
    return next((a for a in splitAnnotations(datatype)[1] if isinstance(a, kind)), None)


def optionalInner(datatype):
    """X for ``Optional[X]`` and ``X | None``; None for other types."""
    if typing.get_origin(datatype) in (typing.Union, types.UnionType):
        inner = [t for t in typing.get_args(datatype) if t is not type(None)]
        if len(inner) == 1 and type(None) in typing.get_args(datatype):
            return inner[0]
    return None
