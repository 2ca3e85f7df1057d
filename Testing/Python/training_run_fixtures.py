"""What the tests of training runs share: looks into nodes."""

import numpy as np
import vtk


def column(tableNode, name):
    """The values of a column of a table node."""
    values = tableNode.GetTable().GetColumnByName(name)
    return [values.GetValue(row) for row in range(values.GetNumberOfValues())]


def ijkToRas(volumeNode):
    """The matrix from voxel indices to RAS mm, 4 x 4."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
