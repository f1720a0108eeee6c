"""Finds Microsoft's ODBC driver, and says what is missing where it cannot be loaded.

The driver manager says "file not found" when a library that the driver needs is missing, and names the driver.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Collection, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pyodbc

from streams.credentials.connection_strings import odbc_keywords, odbc_string
from streams.settings import Settings
from streams.stores.store_errors import UnknownServer

NAMES = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
"""The names under which Microsoft's packages install it, the best one first."""

_WHEEL = "mssql_python_odbc"
_PROCESSORS = {"x86_64": "x86_64", "aarch64": "arm64"}
_FAMILIES = {"rhel": "rhel", "fedora": "rhel", "centos": "rhel", "suse": "suse", "opensuse": "suse"}
"""ID of /etc/os-release -> folder of the wheel; else Debian's."""
_PACKAGES = {
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libkrb5.so.3": "libkrb5-3",
    "libltdl.so.7": "libltdl7",
    "libodbcinst.so.2": "libodbcinst2",
    "libstdc++.so.6": "libstdc++6",
}
"""Library -> the package of Debian that has it."""
_OPENSSL = ("libssl.so.3", "libssl.so.1.1")
"""The driver looks for it only when it connects."""


class DriverMissing(UnknownServer):
    """No driver can be used. The text says what to install."""

    def __init__(self, text: str) -> None:
        super().__init__("IM003", None)
        self.text = text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Driver:
    """What a connection string names: a name of odbcinst.ini, or a path."""

    name: str
    file: Path | None
    """None: only the driver manager knows the file."""
    named_in: str = ""
    """The setting that names it; empty if the program found it."""

    @property
    def version(self) -> str | None:
        """The version in the file's name, as Microsoft writes it; None if it has none."""
        found = re.fullmatch(r"libmsodbcsql-([\d.]+)\.so\.([\d.]+)", self.file.resolve().name if self.file else "")
        return f"{found[1]}.{found[2]}" if found else None


def connection_string(settings: Settings) -> str:
    """Return the connection string of the sales database with a driver. Raises `DriverMissing`."""
    dsn = settings.sales_db_dsn.get_secret_value()
    driver = find_driver(settings)
    if driver.named_in == "SALES_DB_DSN":
        return dsn
    keywords = odbc_keywords(dsn)
    if "driver" in keywords:  # the driver manager takes the last of two, the driver the first
        return odbc_string(keywords | {"driver": driver.name})
    return f"{odbc_string({'Driver': driver.name})};{dsn}"


def find_driver(settings: Settings) -> Driver:
    """Return the driver that will be used. Raises `DriverMissing` if it is not installed, or cannot be loaded."""
    keywords = odbc_keywords(settings.sales_db_dsn.get_secret_value())
    if settings.sales_db_driver:
        driver = _named(settings.sales_db_driver, "SALES_DB_DRIVER")
    elif "dsn" in keywords or "filedsn" in keywords:
        return Driver(keywords.get("driver", ""), None, "SALES_DB_DSN")  # the driver manager's files say which
    elif "driver" in keywords and not _is_missing_from_system(keywords["driver"]):
        driver = _named(keywords["driver"], "SALES_DB_DSN")
    else:
        return microsoft_driver()
    _require_loadable(driver)
    return driver


def _is_missing_from_system(name: str) -> bool:
    """Whether this is one of Microsoft's names, and the system does not have it: then the wheel's driver is meant."""
    file = _file_of(name)
    return name in NAMES and (name not in pyodbc.drivers() or (file is not None and not file.is_file()))


def _named(name: str, setting: str) -> Driver:
    if "/" in name:
        return Driver(name, Path(name), setting)
    if name not in pyodbc.drivers() and ".so" not in name:
        installed = ", ".join(pyodbc.drivers()) or "none"
        raise DriverMissing(f"{setting} names an ODBC driver that is not installed; installed are: {installed}")
    return Driver(name, _file_of(name), setting)


def microsoft_driver() -> Driver:
    """Return the driver of the wheel, which has the tested version, or else one of the system. Raises
    `DriverMissing`.
    """
    names = pyodbc.drivers()
    found = [Driver(str(file), file) for file in _files_of_wheel()]
    found += [Driver(name, _file_of(name)) for name in NAMES if name in names]
    if not found:
        raise DriverMissing(
            "no ODBC driver for SQL Server is installed: install pharmacy-sale-streams with its extra `sqlserver`, or "
            "Microsoft's package msodbcsql18, or name another driver in SALES_DB_DRIVER"
        )
    _require_loadable(found[0])
    return found[0]


def _files_of_wheel() -> Iterator[Path]:
    package = find_spec(_WHEEL)
    processor = _PROCESSORS.get(platform.machine())
    if package is None or package.origin is None or processor is None:
        return
    folder = Path(package.origin).parent / "libs/linux" / _family() / processor / "lib"
    yield from sorted(folder.glob("libmsodbcsql-*.so*"), reverse=True)


def _family() -> str:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return "debian_ubuntu"
    ids = [system.get("ID", ""), *system.get("ID_LIKE", "").split()]
    return next((_FAMILIES[each] for each in ids if each in _FAMILIES), "debian_ubuntu")


def _file_of(name: str) -> Path | None:
    """Return the file that odbcinst.ini gives a driver, if it is a path; else the driver manager searches for it."""
    inst = ConfigParser(strict=False, interpolation=None)
    folder = Path(os.environ.get("ODBCSYSINI", "/etc"))  # as the driver manager has it
    try:
        inst.read(folder / "odbcinst.ini", encoding="utf-8")
    except (ValueError, OSError):
        return None
    file = inst.get(name, "driver", fallback="") if inst.has_section(name) else ""
    return Path(file) if "/" in file else None


def _require_loadable(driver: Driver) -> None:
    file = driver.file
    if file is None:
        return
    what = f"{driver.named_in}: the ODBC driver {file}" if driver.named_in else f"the ODBC driver {file}"
    if not file.is_file():
        raise DriverMissing(f"{what} does not exist")
    if "msodbcsql" not in file.name:
        return
    missing = missing_library([str(file)])
    if missing == str(file):
        raise DriverMissing(f"{what} cannot be loaded: it is damaged, or not made for this machine")
    if missing:
        raise DriverMissing(f"{what} cannot be loaded: {missing} is missing. {_remedy(missing)}")
    if missing_library(_OPENSSL):
        raise DriverMissing(f"{what} needs OpenSSL, and it is missing. apt-get install libssl3")


def missing_library(files: Collection[str]) -> str | None:
    """Return None if one of the files can be loaded; else the library that is missing for the last one."""
    missing = None
    for file in files:
        try:
            ctypes.CDLL(file)
        except OSError as error:
            missing = str(error).partition(":")[0]
        else:
            return None
    return missing


def _remedy(library: str) -> str:
    package = _PACKAGES.get(library)
    return f"apt-get install {package}" if package else "Install the package that has it"
