"""What the user chose in the panel; lives on one parameter node, so a saved scene reopens as it was."""

from __future__ import annotations

from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class TrainingParameterNode:
    """The parameters of the panel. Datasets, runs and models lie on disk; here is only where.

    task - name of the task, such as "denoise-ct"
    datasetFolder - folder of the dataset that is being made or used, '' for none
    runFolder - folder of the training run that is shown, '' for none
    preset - "recommended" or "published"
    device - where to compute: "auto", "cpu", or what the engine calls a graphics card
    parametersJson - what the user set of the plan, a JSON object of parameter names and values; '' for nothing
    startFrom - folder or name of the model that a training starts from, '' for none
    evaluationBundle - folder or name of the model to be measured, '' for none
    evaluationAgainst - folder or name of the model it is compared with, '' for none
    evaluationBaselines - compare with classical methods as well
    evaluationErrorMaps - load the errors of each case as volumes
    """

    task: str = "denoise-ct"
    datasetFolder: str
    runFolder: str
    preset: str = "recommended"
    device: str = "auto"
    parametersJson: str
    startFrom: str
    evaluationBundle: str
    evaluationAgainst: str
    evaluationBaselines: bool = True
    evaluationErrorMaps: bool = True
