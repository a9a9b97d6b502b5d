"""The count of compiled programs, read around each timed answer."""

from draftwise.compiling import compilations, note_compilation

__all__ = ["compilations", "note_compilation"]
