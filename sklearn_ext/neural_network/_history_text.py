"""A history of skorch as a text, which can be stored, and back."""

import json

import numpy as np

__all__ = ["history_of", "history_text"]

PLAIN = bool, int, float, str, type(None)


def history_text(history):
    """Write the rows of a history, without what is no plain value.

    Parameters
    ----------
    history : list of dict
        Rows of epochs; "batches" of each is a list of rows too.

    Returns
    -------
    text : str
        In JSON, as skorch itself writes it. As lists and dicts it would be the larger part of what
        skops stores of a small net.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.neural_network._history_text import history_text
    >>> history_text([{"epoch": 1, "batches": [{}], "score": np.float64(0.5), "map": np.eye(9)}])
    '[{"epoch":1,"score":0.5,"batches":[{}]}]'
    """
    # Schedulers of the rate count the batches.
    rows = [
        _plain(row) | {"batches": [_plain(batch) for batch in row["batches"]]} for row in history
    ]
    return json.dumps(rows, separators=(",", ":"))


def history_of(text):
    """Read what `history_text` wrote.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    history : skorch.history.History
        With numbers equal to the last bit.
    """
    from skorch.history import History

    return History(json.loads(text))


def _plain(row):
    values = {name: v.item() if isinstance(v, np.generic) else v for name, v in row.items()}
    return {name: value for name, value in values.items() if type(value) in PLAIN}
