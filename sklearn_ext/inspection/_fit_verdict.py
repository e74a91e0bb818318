"""From numbers to a verdict: the thresholds, the decision and its words."""

from sklearn_ext.inspection._fit_statistics import removable_share

__all__ = ["decide", "describe", "next_step"]

# All skills are on the scale where a constant prediction has 0 and a perfect one 1.
LEAST_SHARE = 0.15  # of the error on new rows, to be removable before a model counts as wrong
LEAST_GAIN = 0.02  # of skill that must be in it: less matters to nobody
MOST_P_VALUE = 0.2  # one-sided, above which the gain may be luck: few folds have little power
LEAST_CEILING = 0.5  # attainable skill below which noise is what limits the score


def decide(train, validation, ceiling, p_value):
    """Say what kind of fit it is.

    The skill that is missing on new rows is the sum of what is missing on the training rows
    already (bias) and of what is lost between the two (variance):
    ``ceiling - validation == (ceiling - train) + (train - validation)``. The larger part gives
    the verdict its name.

    Parameters
    ----------
    train : float
        Skill on the training rows.
    validation : float
        Skill on new rows.
    ceiling : float
        Best skill on new rows that some model reached, at least `validation`.
    p_value : float
        How likely such a difference of `ceiling` and `validation` is by luck of the folds.

    Returns
    -------
    verdict : {"underfit", "overfit", "good", "noise-limited"}
        The word.
    """
    missing = ceiling - validation
    share = removable_share(validation, ceiling)
    if missing < LEAST_GAIN or share < LEAST_SHARE or not p_value <= MOST_P_VALUE:
        return "good" if ceiling >= LEAST_CEILING else "noise-limited"
    return "overfit" if train - validation > ceiling - train else "underfit"


def describe(verdict, *, train, validation, ceiling, p_value, best):
    """Give the reasons of a verdict in words.

    Parameters
    ----------
    verdict : str
        What :func:`decide` said.
    train, validation, ceiling, p_value : float
        What it said it of.
    best : str
        Name of the model that reached the ceiling.

    Returns
    -------
    evidence : tuple of str
        One sentence each.
    """
    share = removable_share(validation, ceiling)
    if ceiling <= validation:
        room = "better on new rows: no reference model"
    else:
        room = (
            f"better on new rows: {best}; {share:.0%} of the error that is left is removable "
            f"(p = {p_value:.2g})"
        )
        if verdict in ("good", "noise-limited"):
            room += ", too little or too uncertain to count"
    evidence = [room]
    if verdict in ("underfit", "overfit"):
        evidence.append(
            f"skill missing on the training rows already: {ceiling - train:.3f}; lost between "
            f"training and new rows: {train - validation:.3f}"
        )
    if verdict == "noise-limited":
        evidence.append(
            f"nothing tried gets beyond {ceiling:.0%} of the way from a constant to a perfect "
            "prediction"
        )
    return tuple(evidence)


def next_step(verdict, *, still_rising, best):
    """Say what to try next.

    Parameters
    ----------
    verdict : str
        What :func:`decide` said.
    still_rising : bool
        Whether the learning curve on new rows still rises.
    best : str
        Name of the model that reached the ceiling.

    Returns
    -------
    advice : str
        One sentence or two.
    """
    if verdict == "underfit":
        return (
            "Give the model more freedom: more terms or units, a weaker penalty, more iterations, "
            f"or another kind of model; better here: {best}. More rows alone will not help."
        )
    if verdict == "overfit":
        rows = " More rows help too: the learning curve still rises." if still_rising else ""
        return (
            "Take freedom away: a stronger penalty, fewer terms, more neighbours, shallower trees, "
            f"early stopping, or averaging several fits.{rows}"
        )
    if verdict == "noise-limited":
        return (
            "Tuning this model will gain little. Look for columns that say more about the target, "
            "for errors in it, or average repeated measurements."
        )
    if still_rising:
        return "Keep the model. More rows would still help: the learning curve rises."
    return "Keep the model. Neither more freedom nor more rows promise much."
