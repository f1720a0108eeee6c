"""Tests that the program finds Microsoft's ODBC driver, and that one line names what is missing where it cannot be
loaded.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyodbc
import pytest

from streams.settings import Settings
from streams.stores.odbc_driver import _PACKAGES, DriverMissing, connection_string, find_driver, missing_library
from streams.stores.sales_db import SalesDb, StoreError, UnknownServer
from streams.stores.wait_for_database import until_available
from tests.contract.stores.databases import settings_for
from tests.contract.tds_server import error, tds_server
from tests.support.repository import ROOT

DSN = "Server=tcp:127.0.0.1,9;UID=sa;PWD={pwd;secret};Encrypt=no"
NAME = "ODBC Driver 18 for SQL Server"


@pytest.fixture(scope="session")
def wheel() -> Path:
    file = find_driver(settings_for(sales_db_dsn=DSN)).file
    assert file is not None
    return file


@pytest.fixture
def broken(wheel: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a copy of the driver that needs another library instead of one of its own."""

    def make(library: str, another: str) -> Path:
        copy = tmp_path / wheel.name
        for neighbour in wheel.parent.glob("libodbcinst*"):
            shutil.copy(neighbour, tmp_path)
        needed = wheel.read_bytes()
        assert library.encode() in needed
        copy.write_bytes(needed.replace(library.encode() + b"\0", another.encode() + b"\0"))
        return copy

    return make


async def refused(settings: Settings) -> str:
    with pytest.raises(UnknownServer) as caught:
        await until_available(SalesDb(settings).open, "connect")
    assert "secret" not in str(caught.value)
    return str(caught.value)


# ---- where it is ----


def test_the_driver_of_the_wheel_is_found_and_its_version_known(wheel: Path) -> None:
    assert "mssql_python_odbc" in wheel.parts
    driver = find_driver(settings_for(sales_db_dsn=DSN))
    assert re.fullmatch(r"18\.\d+\.\d+\.\d+", driver.version or "")
    assert driver.named_in == ""


@pytest.mark.parametrize("dsn", [DSN, f"Driver={{{NAME}}};{DSN}"])
async def test_the_driver_is_loaded_without_an_entry_in_odbcinst_ini(dsn: str) -> None:
    """This holds also where a connection string has the name under which Microsoft's package would install it."""
    assert NAME not in pyodbc.drivers()
    async with tds_server(login=error(18456, "Login failed.", level=14)) as server:
        settings = settings_for(sales_db_dsn=dsn.replace(",9;", f",{server.port};"), sales_db_timeout=3)
        with pytest.raises(StoreError, match="server error 18456"):
            await SalesDb(settings).open()


def test_a_connection_string_keeps_its_own_driver(wheel: Path) -> None:
    named = f"Driver={{{wheel}}};{DSN}"
    assert connection_string(settings_for(sales_db_dsn=named)) == named
    assert connection_string(settings_for(sales_db_dsn="DSN=chain")) == "DSN=chain"


def test_a_setting_chooses_the_driver(wheel: Path) -> None:
    chosen = settings_for(sales_db_dsn=DSN, sales_db_driver=str(wheel))
    assert connection_string(chosen) == f"Driver={{{wheel}}};{DSN}"
    assert find_driver(chosen).named_in == "SALES_DB_DRIVER"
    [known, *_] = pyodbc.drivers()
    assert connection_string(settings_for(sales_db_dsn=DSN, sales_db_driver=known)).startswith(f"Driver={{{known}}};")


SEARCH = """
import sys
import streams.stores.odbc_driver as module
from tests.contract.stores.databases import settings_for

if "--no-wheel" in sys.argv:
    sys.modules["mssql_python_odbc"] = None
    module.find_spec = lambda name: None
try:
    print(module.find_driver(settings_for(sales_db_dsn=sys.argv[1])).name)
except module.DriverMissing as missing:
    print("missing:", missing)
"""


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        ([], "missing: no ODBC driver for SQL Server is installed: install pharmacy-sale-streams with its extra"),
        (["ODBC Driver 17 for SQL Server"], "ODBC Driver 17 for SQL Server"),
        (["ODBC Driver 17 for SQL Server", NAME], NAME),
        (["FreeTDS"], "missing: no ODBC driver"),
    ],
)
def test_the_drivers_of_the_system_are_used_without_the_wheel(tmp_path: Path, installed: list[str], found: str) -> None:
    """It runs in a process of its own, because the driver manager reads only once where its files are."""
    (tmp_path / "odbcinst.ini").write_text("".join(f"[{name}]\nDriver=libmsodbcsql.so\n" for name in installed))
    assert _search(tmp_path, DSN, "--no-wheel").startswith(found)


def test_a_driver_of_the_system_that_cannot_be_loaded_is_named(
    tmp_path: Path, broken: Callable[[str, str], Path]
) -> None:
    driver = broken("libkrb5.so.3", "libkrb5.so.9")
    (tmp_path / "odbcinst.ini").write_text(f"[{NAME}]\nDriver={driver}\n")
    said = f"missing: the ODBC driver {driver} cannot be loaded: libkrb5.so.9 is missing."
    assert _search(tmp_path, DSN, "--no-wheel").startswith(said)


@pytest.mark.parametrize("dsn", [DSN, f"Driver={{{NAME}}};{DSN}"])
def test_an_odbcinst_entry_whose_file_is_gone_is_ignored(tmp_path: Path, wheel: Path, dsn: str) -> None:
    """An upgrade takes the file of the old version away."""
    (tmp_path / "odbcinst.ini").write_text(f"[{NAME}]\nDriver=/nowhere/libmsodbcsql-18.1.so.1.1\n")
    assert _search(tmp_path, dsn) == str(wheel)


def _search(odbcsysini: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", SEARCH, *arguments]
    environment = {"ODBCSYSINI": str(odbcsysini), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.strip()


# ---- what is missing ----


async def test_a_missing_library_is_named_with_its_package(broken: Callable[[str, str], Path]) -> None:
    """The driver manager says "file not found", and means the library."""
    driver = broken("libgssapi_krb5.so.2", "libgssapi_krb5.so.9")
    said = await refused(settings_for(sales_db_dsn=DSN, sales_db_driver=str(driver)))
    assert said.startswith(
        f"SALES_DB_DRIVER: the ODBC driver {driver} cannot be loaded: libgssapi_krb5.so.9 is missing."
    )


@pytest.mark.parametrize("dsn", ["Driver={folder}/libmsodbcsql.so", "Driver={folder}/nowhere.so"])
async def test_a_file_that_is_not_a_driver_is_a_permanent_error(tmp_path: Path, dsn: str) -> None:
    (tmp_path / "libmsodbcsql.so").write_bytes(b"\x7fELF of another machine")
    said = await refused(settings_for(sales_db_dsn=f"{dsn.replace('{folder}', str(tmp_path))};{DSN}"))
    assert said.startswith("SALES_DB_DSN: the ODBC driver ")
    assert said.endswith("does not exist" if "nowhere" in dsn else "damaged, or not made for this machine")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sales_db_dsn": f"Driver={{ODBC Driver 81 for SQL Server}};{DSN}"}, "SALES_DB_DSN names an ODBC driver that"),
        ({"sales_db_dsn": f"DSN=nowhere;{DSN}"}, "SALES_DB_DSN must name an installed ODBC driver"),
        ({"sales_db_driver": "FreeTDS"}, "SALES_DB_DRIVER names an ODBC driver that is not installed; installed are: "),
    ],
)
async def test_an_unknown_driver_name_is_a_permanent_error(changed: dict[str, str], says: str) -> None:
    assert says in await refused(settings_for(**{"sales_db_dsn": DSN} | changed))


def test_the_package_named_for_each_library_exists_in_debian(wheel: Path) -> None:
    needed = subprocess.run(["ldd", wheel], capture_output=True, text=True, check=True).stdout
    libraries = {line.split()[0] for line in needed.splitlines()}
    assert _PACKAGES.keys() <= libraries
    for library, package in _PACKAGES.items():
        owner = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True, check=True).stdout
        assert f"{package}:" in owner, library


def test_one_of_several_libraries_suffices() -> None:
    assert missing_library(["libnowhere.so.1", "libc.so.6"]) is None
    assert missing_library(["libnowhere.so.1"]) == "libnowhere.so.1"
    assert issubclass(DriverMissing, UnknownServer)
