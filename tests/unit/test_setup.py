"""`make setup` finds a supported Python, says what to install where there is none, and rebuilds a virtual environment
that is out of date. Pythons and apt-get are played by scripts here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


class System:
    """A folder of commands that is all of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.release = folder / "os-release"
        for command in ("bash", "sed", "dirname", "id", "touch", "cat", "cp"):
            (folder / command).symlink_to(str(shutil.which(command)))

    def python(self, name: str, version: str, *, venv: bool = True) -> None:
        """Like Python it says its version; and gives its path where that version is allowed and it has venv."""
        minor = version.split(".")[1]
        self.script(
            name,
            f'case "$2" in *version.split*) echo {version}; exit;; esac\n'
            f"[ {venv:d} = 1 ] || exit 1\n"
            f'case "$2" in *"not 11 <="*"<= 14"*) [ {minor} -ge 11 ] && [ {minor} -le 14 ] && echo "$0";; esac',
        )

    def script(self, name: str, body: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def ready(self, *arguments: str, system: str = "debian 12") -> subprocess.CompletedProcess[str]:
        name, version = system.split()
        self.release.write_text(f'ID={name}\nVERSION_ID="{version}"\nPRETTY_NAME="{system.title()}"\n')
        return subprocess.run(
            [ROOT / ".ci/python-ready", *arguments],
            env={"PATH": str(self.folder), "HOME": str(self.folder), "OS_RELEASE": str(self.release)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_every_supported_python_is_named_in_every_place_that_lists_them(system: System) -> None:
    assert system.ready("--all").stdout.split() == [*VERSIONS]
    production = (ROOT / "docs/production.md").read_text(encoding="utf-8")
    assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in production
    assert f"Python {VERSIONS[0]} to {VERSIONS[-1]}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_systems_own_python_is_taken_where_it_will_do(system: System, version: str) -> None:
    system.python("python3", f"{version}.5")
    system.python("python3.12", "3.12.1")
    assert system.ready().stdout == f"{system.folder}/python3\n"


def test_another_one_is_taken_where_the_systems_own_is_too_old(system: System) -> None:
    system.python("python3", "3.9.2")
    system.python("python3.14", "3.14.0", venv=False)
    system.python("python3.12", "3.12.1")
    system.python(".pyenv/versions/3.13.0/bin/python3", "3.13.0")
    assert system.ready().stdout == f"{system.folder}/.pyenv/versions/3.13.0/bin/python3\n"
    assert system.ready("3.12").stdout == f"{system.folder}/python3.12\n"
    assert (system.ready("3.11").returncode, system.ready("3.11").stdout) == (1, "")


@pytest.mark.parametrize("name", ["debian 12", "debian 13", "ubuntu 24.04", "ubuntu 26.04"])
def test_without_one_the_command_that_installs_it_is_named(system: System, name: str) -> None:
    done = system.ready(system=name)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "This needs Python 3.11 to 3.14 with venv; no python3 was found. "
        f"On {name.title()}, as root: apt-get install python3 python3-venv\n"
    )


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("debian 11", "3.9.2", "python3 is 3.9.2. Debian 11 has only older ones. Use Debian 12 or 13, Ubuntu 24.04 or"),
        ("ubuntu 22.04", "3.10.12", "python3 is 3.10.12. Ubuntu 22.04 has only older ones. Use Debian 12"),
        (
            "ubuntu 28.04",
            "3.16.0",
            "python3 is 3.16.0. On Ubuntu 28.04, as root: apt-get install python3.14 python3.14-",
        ),
        (
            "debian 13",
            "3.13.5",
            "python3 is 3.13.5 without venv. On Debian 13, as root: apt-get install python3 python3-",
        ),
        ("fedora 41", "3.15.1", "python3 is 3.15.1. Install Python 3.11 to 3.14 with its module venv on Fedora 41."),
    ],
)
def test_too_old_too_new_or_incomplete_it_is_named_with_what_to_install(
    system: System, name: str, version: str, says: str
) -> None:
    system.python("python3", version, venv=False)
    done = system.ready(system=name)
    assert done.returncode == 3
    assert f"with venv; {says}" in done.stderr


def test_as_root_it_is_installed(system: System) -> None:
    system.python("later", "3.13.5")
    system.script("id", "echo 0")
    system.script(
        "apt-get",
        f'echo "$@" >> {system.folder}/calls; [ $1 = update ] || cp {system.folder}/later {system.folder}/python3',
    )
    assert system.ready().stdout == f"{system.folder}/python3\n"
    assert (system.folder / "calls").read_text().splitlines() == [
        "update -qq",
        "install -y -qq --no-install-recommends python3 python3-venv",
    ]


class Checkout:
    """A copy of what `.ci/venv` reads, with tools that only note what they were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (
            ".ci/venv",
            ".ci/bootstrap.lock",
            ".ci/requirements.lock",
            "pyproject.toml",
            "streams/__init__.py",
        ):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.python("3.12")

    def python(self, version: str) -> None:
        """The system's Python is this one from now on; what is at `.venv/bin/python` is the same command."""
        python = self.folder / "python3"
        tag = f"cpython-{version.replace('.', '')}"
        python.write_text(
            f"""#!/bin/bash
            case "$1 $2" in
            "-c "*cache_tag*base_prefix*) echo "{tag} /usr";;
            "-m venv")
                echo made >> {self.folder}/calls
                rm -rf "$4"
                mkdir -p "$4/bin" "$4/lib/python{version}"
                ln -sf {python} "$4/bin/python"
                printf '#!/bin/bash\\n' | tee "$4/bin/pip" > "$4/bin/uv"
                chmod +x "$4/bin/pip" "$4/bin/uv";;
            esac
            """
        )
        python.chmod(0o755)

    def set_up(self) -> bool:
        """Return whether the environment was rebuilt."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        subprocess.run([self.folder / ".ci/venv", ".venv", self.folder / "python3"], check=True, timeout=60)
        return calls.exists()


def test_upgrading_rebuilds_the_environment_where_a_part_of_it_has_changed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    assert checkout.set_up()
    assert not checkout.set_up(), "nothing has changed"
    for name in (".ci/requirements.lock", ".ci/bootstrap.lock", "pyproject.toml", "streams/__init__.py"):
        with (tmp_path / name).open("a") as file:
            file.write("\n# as after git pull\n")
        assert checkout.set_up(), name
        assert not checkout.set_up()
    checkout.python("3.13")
    assert checkout.set_up(), "the system was upgraded, and with it its Python"
    assert not checkout.set_up()
    (tmp_path / ".venv/bin/python").unlink()
    assert checkout.set_up(), "the environment's Python is gone"
