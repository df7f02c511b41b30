"""A wall clock that a story moves; the monotonic one stays the kernel's."""

from pathlib import Path

from . import programs


class WallClock:
    """For processes started with `environment`. They need the program `faketime`."""

    def __init__(self, story):
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not libraries:
            raise programs.Missing("libfaketimeMT.so.1 is not there (Debian package libfaketime)")
        self.offset = story.write("offset", "+0")
        self.environment = {
            "LD_PRELOAD": str(libraries[0]), "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds):
        """So many seconds from the true time; negative: in the past."""
        aside = self.offset.with_suffix(".new")
        aside.write_text(f"{seconds:+d}")
        aside.rename(self.offset)
