"""Data sets that others publish as packages, kept beside the build's products.

They are fetched before a story starts: inside its namespaces is no network.
"""

import shutil
import subprocess
import tarfile

from . import programs

KEPT = programs.ROOT / "target" / "interop-data"


def package(name):
    """The directory of a fetched npm package."""
    path = _directory(name) / "package"
    if not path.is_dir():
        raise programs.Missing(f"the npm package {name} is not fetched: run the story by run.py")
    return path


def fetch(name):
    """Fetches an npm package, unless it is there."""
    directory = _directory(name)
    if (directory / "package").is_dir():
        return
    aside = directory.with_suffix(".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    # Packing runs none of a package's scripts, installing would.
    command = [programs.find("npm"), "pack", "--silent", name]
    done = subprocess.run(command, cwd=aside, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300)
    if done.returncode != 0:
        raise programs.Missing(f"cannot fetch the npm package {name}: {done.stderr.strip()}")
    (archive,) = aside.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(aside)
    archive.unlink()
    shutil.rmtree(directory, ignore_errors=True)
    aside.rename(directory)


def _directory(name):
    return KEPT / name.lstrip("@").replace("/", "-")
