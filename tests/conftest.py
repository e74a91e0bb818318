"""Set-up that must come before the first import of scipy or matplotlib."""

import os

# scikit-learn skips its array API checks unless scipy saw this when it was imported.
os.environ["SCIPY_ARRAY_API"] = "1"
# Pictures are drawn into files: no display is needed or opened.
os.environ["MPLBACKEND"] = "Agg"
