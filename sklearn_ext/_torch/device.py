"""Where a net is trained."""

import torch

__all__ = ["autocast_dtype", "resolve_device"]


def resolve_device(device: str | torch.device) -> torch.device:
    """Find the device that a user means.

    Parameters
    ----------
    device : str or torch.device
        "auto" is "cuda" where there is one, else "mps", else "cpu". Anything else is what
        `torch.device` takes.

    Returns
    -------
    device : torch.device
        The device.

    Raises
    ------
    ValueError
        If torch has no such device here.

    Examples
    --------
    >>> from sklearn_ext._torch.device import resolve_device
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device(_fastest())
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here: {str(error).splitlines()[0]}. "
            'Use device="auto" or "cpu".'
        ) from error
    return found


def _fastest() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def autocast_dtype(precision: str) -> torch.dtype | None:
    """Give the half precision of the matrix products of a mixed `precision`, None for others."""
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
