"""TrainingLogic: from volumes of the scene to a generator in MedGAN Synthesis; for the console and the panel alike.

Slicer's start waits for this file, so what does the work is imported when there is work.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medgan.bundle import Bundle
    from medgan.dataset import Dataset
    from medgan.draft import Draft
    from medgan.draft_case import DraftCase
    from medgan.plan_report import PlanReport

    from .dataset.ScenePairs import ScenePair
    from .EngineTask import EngineTask
    from .evaluation.EvaluationResult import EvaluationResult
    from .run.TrainingRun import TrainingRun


class TrainingLogic:
    """Makes datasets, trains, measures and hands over. What is long runs in processes; what comes of it lies on disk.

    Example:
        >>> logic = slicer.util.getModuleLogic("MedGANTraining")  # doctest: +SKIP
        >>> draft = logic.createDataset("/data/mr-to-ct", "mr-to-ct", register="rigid")  # doctest: +SKIP
        >>> for pair in logic.pairsInScene("study", task="mr-to-ct"):  # doctest: +SKIP
        ...     logic.addPair(draft, pair.source, pair.target, pair.patient)
        >>> logic.prepare(draft)  # doctest: +SKIP
        >>> dataset = logic.finish(draft, licence="CC0-1.0")  # doctest: +SKIP
        >>> run = logic.train(dataset, "/data/run", wait=True)  # doctest: +SKIP
        >>> logic.evaluate(run.bundle, dataset).tableNode  # doctest: +SKIP
        >>> logic.install(run, licence="CC0-1.0")  # doctest: +SKIP
    """

    def createDataset(self, folder: str | Path, task: str, **settings) -> Draft:
        """Begin a dataset.

        Args:
            folder: is made; it must hold no other dataset.
            task: "denoise-ct", "contrast-ct", "superres-mr", "mr-to-ct", "mr-to-ct-unpaired" or "stain".
            settings: of ``medgan.draft.Draft.create``, such as ``register`` ("rigid", "affine", "bspline" or ""),
                ``degrade`` with ``dose``, ``factor`` or ``grey_kind`` where one volume makes a case, ``description``
                and ``licence`` of the images, ``seed``.

        Raises:
            MedGANError: the folder is taken or cannot be written to, or a setting does not fit the task.

        Example:
            >>> draft = logic.createDataset("/data/low-dose", "denoise-ct", degrade="low-dose")  # doctest: +SKIP
        """
        from medgan.draft import Draft

        return Draft.create(Path(folder), task, **settings)

    def openDataset(self, folder: str | Path) -> Draft:
        """Go on with a dataset that was begun, wherever its folder was moved to.

        Raises:
            MedGANError: there is none, it is damaged, or a newer MedGAN has made it.

        Example:
            >>> [case.state for case in logic.openDataset("/data/mr-to-ct").cases]  # doctest: +SKIP
            ['ready', 'waiting']
        """
        from medgan.draft import Draft

        return Draft.load(Path(folder))

    def pairsInScene(self, rule: str = "study", sourcePattern: str = "", targetPattern: str = "") -> list[ScenePair]:
        """Pairs of volumes of the scene that seem to belong together.

        Args:
            rule: "study" or "patient": both stand under the same item of the subject hierarchy; "name": the parts in
                braces of their names are the same.
            sourcePattern, targetPattern: names of sources and targets, for example ``"MR {*}"``; where they are empty
                the modality tells which is which.

        Returns:
            pairs with ``source``, ``target``, ``patient``, and ``problems`` in plain sentences.

        Raises:
            MedGANError: rule or pattern is not understood, or there is no pair.

        Example:
            >>> pairs = logic.pairsInScene("name", "MR {*}", "CT {*}")  # doctest: +SKIP
        """
        from .dataset.ScenePairs import pairsInScene

        return pairsInScene(rule, sourcePattern, targetPattern)

    def addPair(
        self,
        draft: Draft,
        sourceNode,
        targetNode=None,
        patient: str | None = None,
        maskSegmentation=None,
        segmentID: str | None = None,
        force: bool = False,
    ) -> DraftCase:
        """Add a pair of volumes to a dataset; it is on disk when this returns, so the scene may be closed.

        Args:
            targetNode: None where the dataset makes one image of the other.
            patient: who it is of; None goes by the DICOM patient ID, then by the subject hierarchy.
            maskSegmentation, segmentID: learn inside this segment only.
            force: the two are of one patient, and a CT is in HU, whatever the scene says.

        Raises:
            MedGANError: why the two cannot be a pair, in one sentence; nothing was added.

        Example:
            >>> logic.addPair(draft, getNode("MR"), getNode("CT"), "p1").id  # doctest: +SKIP
            'case-001'
        """
        from .dataset.AddPair import addPair

        return addPair(draft, sourceNode, targetNode, patient, maskSegmentation, segmentID, force)

    def addScenes(
        self, draft: Draft, paths: Iterable[str | Path], rule: str = "study", sourcePattern="", targetPattern=""
    ) -> tuple[list[DraftCase], list[dict[str, str]]]:
        """Add the pairs of saved scenes (.mrb, .mrml); the open scene does not notice.

        Args:
            paths: files. rule, sourcePattern, targetPattern: see ``pairsInScene``.

        Returns:
            the new cases, and ``{"id", "reason"}`` of what was left out; one bad scene stops none.

        Example:
            >>> cases, left = logic.addScenes(draft, Path("/data").glob("*.mrb"), "patient")  # doctest: +SKIP
        """
        from .dataset.SceneImport import addScenes

        return addScenes(draft, paths, rule, sourcePattern, targetPattern)

    def addFolder(
        self, draft: Draft, source: str | Path, target: str | Path | None = None, **settings
    ) -> tuple[list[DraftCase], list[dict[str, str]]]:
        """Add pairs of folders of images, of a table (.csv), or of DICOM studies.

        Args:
            source: folder of sources, a table with the columns patient, source, target, or with ``sourceSeries`` a
                folder with a sub-folder per study.
            target: folder of targets; None where the dataset makes one image of the other.
            settings: ``masks``, ``pattern``, ``sourceSeries``, ``targetSeries``, ``onProgress``, ``assume_hu``,
                ``allow_different_patients``; see ``MedGANTrainingLib.dataset.FolderImport``.

        Returns:
            the new cases, and ``{"id", "reason"}`` of what was left out.

        Raises:
            MedGANError: there are no such folders, or no pairs in them.

        Example:
            >>> cases, left = logic.addFolder(draft, "/data/mr", "/data/ct")  # doctest: +SKIP
        """
        from .dataset.FolderImport import addFolder

        return addFolder(draft, source, target, **settings)

    def prepare(
        self, draft: Draft, wait: bool = True, onProgress=None, onDone=None
    ) -> tuple[DraftCase, ...] | EngineTask:
        """Register, resample and mask the cases that wait for it, in a process of its own.

        Args:
            wait: return the cases when it is done; windows are repainted meanwhile but take no input. False returns
                the ``EngineTask`` at once. What is finished stays if it is cancelled.
            onProgress, onDone: called with the ``EngineTask``.

        Raises:
            MedGANError: Python packages are missing, or nothing could be prepared.

        Example:
            >>> [case.registration["quality"] for case in logic.prepare(draft)]  # doctest: +SKIP
            [0.71, 0.64]
        """
        from .dataset.DraftCommands import prepare

        return prepare(draft, wait, onProgress, onDone)

    def adjust(self, draft: Draft, caseID: str, transformNode) -> DraftCase:
        """Take how a case's volumes lie on each other from a linear transform node, and prepare the case with it.

        Args:
            transformNode: moves the target, as it was added, onto the source.

        Raises:
            MedGANError: the transform is not linear, or the target does not lie on the source then.

        Example:
            >>> logic.adjust(draft, "case-001", getNode("LinearTransform")).state  # doctest: +SKIP
            'ready'
        """
        from .dataset.DraftCommands import adjust

        return adjust(draft, caseID, transformNode)

    def showCase(self, draft: Draft, caseID: str) -> dict:
        """Show source and target of a case over each other in the slice views.

        Returns:
            the nodes by role, "source", "target" and "mask"; they are not saved, and gone with the next case.

        Example:
            >>> logic.showCase(draft, "case-001")["target"].GetName()  # doctest: +SKIP
            'case-001 target'
        """
        from .dataset.DraftCommands import showCase

        return showCase(draft, caseID)

    def finish(self, draft: Draft, licence: str = "", description: str = "") -> Dataset:
        """Write the dataset into the folder of the draft, which can be changed and finished again.

        Args:
            licence, description: of the images, for the model's card; '' keeps what the draft has.

        Raises:
            MedGANError: too few cases, a patient in two splits, or the disk is full.

        Example:
            >>> len(logic.finish(draft, "CC0-1.0", "Three heads").cases)  # doctest: +SKIP
            3
        """
        from .dataset.DraftCommands import finish

        return finish(draft, licence, description)

    def plan(self, dataset, preset: str = "recommended", device: str = "auto", **parameters) -> PlanReport:
        """What a training on this dataset would be, measured in a process of its own.

        Args:
            dataset: the finished dataset, or its folder.
            preset: "recommended", or "published" for what the publication says.
            parameters: of the recipe, by name; they stand whatever the images say.

        Returns:
            every parameter with its reason, time per epoch, memory.

        Raises:
            MedGANError: the dataset or a parameter cannot be used, or PyTorch is missing.

        Example:
            >>> logic.plan("/data/mr-to-ct", epochs=20).seconds_per_epoch  # doctest: +SKIP
            12.5
        """
        from .plan.PlanCommand import plan

        return plan(dataset, preset, device, parameters)

    def train(
        self,
        dataset,
        folder: str | Path,
        preset: str = "recommended",
        device: str = "auto",
        startFrom=None,
        wait: bool = False,
        **parameters,
    ) -> TrainingRun:
        """Start a training in a process that outlives Slicer, or go on with the one in the folder.

        Args:
            dataset: the finished dataset, or its folder.
            folder: of the run.
            preset, device, parameters: see ``plan``.
            startFrom: a model (bundle, folder or name) whose generator is the start.
            wait: return when it has ended; False returns at once.

        Returns:
            the run, with ``state``, ``status``, ``pause()``, ``resume()``, ``stop()``, ``wait()`` and ``bundle``.

        Raises:
            MedGANError: it runs already, something is missing, or with ``wait`` it failed; in one sentence.

        Example:
            >>> run = logic.train("/data/mr-to-ct", "/data/run", epochs=20)  # doctest: +SKIP
            >>> run.status.remaining_s  # doctest: +SKIP
            240.0
        """
        from .run.TrainingRun import train

        return train(dataset, folder, preset, device, startFrom, wait, parameters)

    def runs(self) -> list[TrainingRun]:
        """The trainings known on this computer, whoever started them, the latest first.

        Example:
            >>> [(run.folder.name, run.state) for run in logic.runs()]  # doctest: +SKIP
            [('run', 'running')]
        """
        from .run.TrainingRun import runs

        return runs()

    def evaluate(
        self,
        bundle: Bundle | str | Path,
        dataset: Dataset | str | Path,
        against: Bundle | str | Path | None = None,
        device: str = "auto",
        baselines: bool = True,
        errorMaps: bool = True,
        wait: bool = True,
        onProgress=None,
        onDone=None,
    ) -> EvaluationResult | EngineTask:
        """Measure a model on the test cases of a dataset, in a process of its own, and put the numbers into the scene.

        Args:
            bundle: the model, its name or folder, or the run that it comes from.
            dataset: the dataset, or its folder.
            against: another model to compare with on the same cases.
            baselines: compare with classical methods as well.
            errorMaps: write and load output minus truth of each case.
            wait: return when it is done; False returns the ``EngineTask`` at once.
            onProgress, onDone: called with the ``EngineTask``.

        Returns:
            ``tableNode`` (a row per patient), ``summaryNode``, ``comparisonNode``, ``errorMapNodes`` (loaded when asked
            for), ``reportPath``, ``showTable()``, ``showErrorMap(case)``, ``openReport()``.

        Raises:
            MedGANError: one sentence that says what is wrong and what to do.

        Example:
            >>> logic.evaluate("/data/run/bundle", "/data/mr-to-ct").reportPath.name  # doctest: +SKIP
            'report.html'
        """
        from .evaluation.EvaluationCommand import evaluate

        return evaluate(bundle, dataset, against, device, baselines, errorMaps, wait, onProgress, onDone)

    def install(
        self, run, name: str | None = None, licence: str | None = None, dataset=None, replace: bool = False
    ) -> Bundle:
        """Hand a trained model over to MedGAN Synthesis, where it is in the list of models at once.

        Its card tells of the data, the number of patients, the license, and what was measured: by ``evaluate`` on the
        dataset of the run if that was done, else at the end of the training.

        Args:
            run: a ``TrainingRun``, the folder of a run, or a model.
            name: what to call it; None keeps its own, with a number if that is taken by another model.
            licence: of the weights, as an SPDX identifier such as "CC-BY-4.0".
            dataset: what it was measured on, if that is not the dataset of the run.
            replace: put it in the place of another model of this name that was trained here.

        Raises:
            MedGANError: there is no finished model, the name is taken, or the disk is full.

        Example:
            >>> logic.install("/data/run", "My denoiser", "CC-BY-4.0").title  # doctest: +SKIP
            'My denoiser'
        """
        from .evaluation.HandOver import install

        return install(run, name, licence, dataset, replace)

    def exportPackage(
        self,
        dataset,
        path: str | Path,
        plan=None,
        preset: str = "recommended",
        device: str = "auto",
        wait: bool = True,
        onProgress=None,
        onDone=None,
        **parameters,
    ) -> Path | EngineTask:
        """Pack a dataset and the plan for it into one file, for ``medgan train --package FILE OUT`` elsewhere.

        Args:
            dataset: the finished dataset, or its folder.
            path: of the zip file.
            plan: what ``plan`` gave, or the file of a plan; None makes one first, and waits for it.
            preset, device, parameters: of the plan that is made; see ``plan``.
            wait: return when it is packed; False returns the ``EngineTask``.
            onProgress, onDone: called with the ``EngineTask``.

        Raises:
            MedGANError: dataset or plan cannot be used, or the disk is full.

        Example:
            >>> logic.exportPackage("/data/mr-to-ct", "/data/package.zip")  # doctest: +SKIP
            PosixPath('/data/package.zip')
        """
        from .evaluation.Package import exportPackage

        plan = plan if plan is not None else self.plan(dataset, preset, device, **parameters)
        return exportPackage(dataset, path, plan, wait, onProgress, onDone)

    def importBundle(self, path: str | Path, replace: bool = False) -> Bundle:
        """Install a model that was trained elsewhere; MedGAN Synthesis lists it at once.

        Args:
            path: of the packed model (.zip), of its folder, or of the folder of the training that holds it.
            replace: put it in the place of one of the same name.

        Raises:
            MedGANError: it is no whole model, or there is one of its name.

        Example:
            >>> logic.importBundle("/media/usb/my_model").name  # doctest: +SKIP
            'mr-to-ct-recommended'
        """
        from .evaluation.HandOver import importBundle

        return importBundle(path, replace)
