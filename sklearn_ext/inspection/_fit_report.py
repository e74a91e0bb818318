"""What a diagnosis of a fit found, and its report in words."""

from dataclasses import dataclass

import numpy as np

from sklearn_ext.inspection._fit_statistics import corrected_t_test, removable_share, skill
from sklearn_ext.inspection._fit_verdict import decide, describe, next_step

__all__ = ["FitDiagnosis"]

# The learning curve rises where its last step brings that much skill.
_RISE = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class FitDiagnosis:
    """What :func:`diagnose_fit` found. Printed, it is a report.

    Scores are those of `scoring`; a *skill* is a score on the scale where the best constant
    prediction has 0 and a perfect one 1, which leaves R² (nearly) as it is. A skill below -1 of a
    fold counts as -1.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator.
    scoring : str
        Name of the score.
    train_scores : ndarray of shape (n_folds,)
        Scores on the training rows of each fold.
    validation_scores : ndarray of shape (n_folds,)
        Scores on its other rows.
    reference_scores : dict of str to ndarray of shape (n_folds,)
        Scores of the reference models on the same rows.
    perfect_score : float
        Score of predictions without an error.
    residual_structure : dict of str to float
        Share of the squared residuals on new rows that a flexible model, trained on the residuals
        of the training rows, explains; 0 or below where it finds none. Of several outputs it is
        the mean.
    train_sizes : ndarray of shape (n_sizes,)
        Numbers of training rows of the learning curve.
    train_curve : ndarray of shape (n_sizes, n_folds)
        Scores on the training rows by their number.
    validation_curve : ndarray of shape (n_sizes, n_folds)
        Scores on new rows by the number of training rows.
    noise_ceiling : float
        For regression, skill that the noise leaves possible, as estimated from near neighbours
        alone; nan for classification. It may be far off with many columns.
    test_ratio : float
        Test rows for each training row.
    outputs : dict of str or int to FitDiagnosis
        Diagnosis by R² of each output, by the name or number of its column; empty for one target.

    See Also
    --------
    FitDiagnosisDisplay : The picture of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn_ext.inspection import diagnose_fit
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.sin(X[:, 0]) + 0.1 * rng.normal(size=200)
    >>> diagnosis = diagnose_fit(LinearRegression(), X, y, random_state=0)
    >>> diagnosis.verdict
    'underfit'
    """

    estimator_name: str
    scoring: str
    train_scores: np.ndarray
    validation_scores: np.ndarray
    reference_scores: dict
    perfect_score: float
    residual_structure: dict
    train_sizes: np.ndarray
    train_curve: np.ndarray
    validation_curve: np.ndarray
    noise_ceiling: float
    test_ratio: float
    outputs: dict

    @property
    def chance_score(self):
        """Score of the best constant prediction on new rows."""
        return float(self.reference_scores["constant"].mean())

    def _skills(self, scores):
        """Skill of each fold, at least -1: one fold gone wild must not hide all others."""
        return np.maximum(skill(scores, self.chance_score, self.perfect_score), -1.0)

    def _skill(self, scores):
        return float(np.mean(self._skills(scores)))

    @property
    def train_skill(self):
        """Skill on the training rows."""
        return self._skill(self.train_scores)

    @property
    def validation_skill(self):
        """Skill on new rows."""
        return self._skill(self.validation_scores)

    @property
    def best_reference(self):
        """Name of the reference model with the best score on new rows."""
        return max(self.reference_scores, key=lambda name: self._skill(self.reference_scores[name]))

    @property
    def ceiling_skill(self):
        """Best skill on new rows that this or a reference model reached."""
        best = self._skill(self.reference_scores[self.best_reference])
        return max(best, self.validation_skill)

    @property
    def gap(self):
        """Training minus validation skill with its corrected standard error and p-value."""
        return self._difference(self.train_scores, self.validation_scores)

    @property
    def missing(self):
        """Best reference's minus validation skill with its corrected standard error and p-value."""
        return self._difference(self.reference_scores[self.best_reference], self.validation_scores)

    def _difference(self, better, worse):
        return corrected_t_test(self._skills(better) - self._skills(worse), self.test_ratio)

    @property
    def removable_share(self):
        """Share of the error on new rows that the best reference model does without."""
        return removable_share(self.validation_skill, self.ceiling_skill)

    @property
    def still_rising(self):
        """Whether the last step of the learning curve on new rows still brought skill."""
        last = self._difference(self.validation_curve[-1], self.validation_curve[-2])
        return last.mean >= _RISE and last.p_value < 0.1

    @property
    def verdict(self):
        """The word: "underfit", "overfit", "good" or "noise-limited"."""
        skills = self.train_skill, self.validation_skill, self.ceiling_skill
        return decide(*skills, self.missing.p_value)

    @property
    def worst_output(self):
        """Name of the output with most skill to be won; None for one target."""
        return max(self.outputs, key=lambda name: self.outputs[name]._room, default=None)

    @property
    def _room(self):
        """Skill on new rows that is missing, and the skill itself below 0 to tell ties apart."""
        return self.ceiling_skill - self.validation_skill, -self.validation_skill

    @property
    def evidence(self):
        """Reasons of the verdict, one sentence each."""
        reasons = self._reasons()
        if not self.outputs:
            return reasons
        worst = self.outputs[self.worst_output]
        return (
            *reasons,
            f"worst output: {self.worst_output!r} ({worst.verdict}), R² on new rows "
            f"{worst.validation_scores.mean():.3f}; {worst._reasons()[0]}",
        )

    def _reasons(self):
        return describe(
            self.verdict,
            train=self.train_skill,
            validation=self.validation_skill,
            ceiling=self.ceiling_skill,
            p_value=self.missing.p_value,
            best=self.best_reference,
        )

    @property
    def next_step(self):
        """What to try next."""
        return next_step(self.verdict, still_rising=self.still_rising, best=self.best_reference)

    def __str__(self):
        sizes = ", ".join(
            f"{size}: {scores.mean():.3f}"
            for size, scores in zip(self.train_sizes, self.validation_curve, strict=True)
        )
        structure = ", ".join(f"{n} {share:.0%}" for n, share in self.residual_structure.items())
        ceiling = f"  noise ceiling by near neighbours (skill) {self.noise_ceiling:.3f}"
        lines = [
            f"{self.estimator_name}: {self.verdict}",
            f"  {self.scoring} on training rows    {_spread(self.train_scores)}",
            f"  {self.scoring} on new rows         {_spread(self.validation_scores)}",
            f"  gap of the two (skill)  {self.gap.mean:.3f} ± {self.gap.stderr:.3f} "
            f"(p = {self.gap.p_value:.2g})",
            *(
                f"  {self.scoring} of {name}: {_spread(scores)}"
                for name, scores in self.reference_scores.items()
            ),
            structure and f"  residuals explained by: {structure}",
            ceiling if np.isfinite(self.noise_ceiling) else "",
            f"  {self.scoring} on new rows by number of training rows: {sizes}",
            *(
                f"  R² of output {name!r}: {_spread(found.validation_scores)}, {found.verdict}"
                for name, found in self.outputs.items()
            ),
            *(f"  because: {reason}" for reason in self.evidence),
            f"  next: {self.next_step}",
        ]
        return "\n".join(line for line in lines if line)

    __repr__ = __str__


def _spread(scores):
    return f"{scores.mean():.3f} (sd {scores.std(ddof=1):.3f})"
