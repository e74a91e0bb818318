"""``python -m sklearn_ext`` prints versions."""

from sklearn_ext._versions import show_versions

if __name__ == "__main__":
    show_versions()
