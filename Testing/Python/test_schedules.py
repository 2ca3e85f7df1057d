"""Learning rates against the schedulers of torch and the formulas of the sources."""

import math
import unittest

import torch
from medgan.schedules import factor


def rates(scheduler_of, epochs):
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = scheduler_of(optimiser), []
    for _ in range(epochs):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


class ScheduleTest(unittest.TestCase):
    def at(self, name, epoch, epochs=20, start=0, rate=0.0, scores=()):
        return factor(name, epoch * 10, 10, epochs, start, rate, scores)

    def test_cosine_and_restarts_are_those_of_torch(self):
        expected = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20), 20)
        restarts = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2), 20)
        for epoch in range(20):
            self.assertAlmostEqual(self.at("cosine", epoch), expected[epoch])
            self.assertAlmostEqual(self.at("warm-restarts", epoch), restarts[epoch])

    def test_linear_is_that_of_pix2pix(self):
        # 100 epochs constant, 100 to zero: 1 - max(0, epoch + 1 - 100) / 101 with epochs counted from 0
        for epoch in (0, 99, 100, 150, 199):
            self.assertAlmostEqual(self.at("linear", epoch, 200, 100), 1 - max(0, epoch + 1 - 100) / 101)

    def test_plateau_counts_as_torch_does(self):
        scores = [1, 2, 3, 3, 3, 3, 3, 3, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4]
        optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, "max", 0.5, 4, threshold=0.0)
        for epoch, score in enumerate(scores):
            self.assertAlmostEqual(
                self.at("plateau", epoch, scores=scores[:epoch]), optimiser.param_groups[0]["lr"], msg=str(epoch)
            )
            scheduler.step(score)

    def test_inverse_decays(self):
        self.assertEqual(self.at("inverse-epochs", 9, start=10, rate=0.1), 1.0)
        self.assertAlmostEqual(self.at("inverse-epochs", 15, start=10, rate=0.1), 1 / 1.5)
        self.assertAlmostEqual(self.at("inverse-steps", 2, rate=0.5), 0.5)
        self.assertEqual(self.at("constant", 7), 1.0)
        self.assertTrue(all(math.isfinite(self.at(name, 19)) for name in ("cosine", "linear", "plateau")))


if __name__ == "__main__":
    unittest.main()
