"""The module ``slicer.parameterNodeWrapper``."""

from . import parameter_types
from .module_builder import pythonModule
from .parameter_pack import parameterPack
from .parameter_wrapper import SLICER_PARAMETER_NAME, isParameterNodeWrapper, parameterNodeWrapper


def makeModule():
    """Make ``slicer.parameterNodeWrapper`` importable."""
    here = parameter_types.__name__
    annotations = [c for c in vars(parameter_types).values() if isinstance(c, type) and c.__module__ == here]
    module = pythonModule(
        "slicer.parameterNodeWrapper", parameterNodeWrapper, parameterPack, isParameterNodeWrapper, *annotations
    )
    module.SlicerParameterNamePropertyName = SLICER_PARAMETER_NAME
