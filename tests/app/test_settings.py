import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import MissingSetting, Settings

KEY = "k" * 32


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings_from(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(ValidationError) as problem:
        settings_from(monkeypatch, **variables)
    (error,) = problem.value.errors()
    return f"{error['loc'][0]}: {error['msg']}"


def test_everything_has_a_default():
    settings = Settings()
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8000, None)


def test_every_setting_is_described():
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"
        assert field.description.endswith(".")


@pytest.mark.parametrize("name", ["PORT", "GONGGU_PORT"])
def test_the_port_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str):
    assert settings_from(monkeypatch, **{name: "4711"}).port == 4711


def test_an_env_file_in_the_folder_of_the_call_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("PORT=1111\nGONGGU_LOG_LEVEL=error\nSOMETHING_ELSE=x\n")
    assert (Settings().port, Settings().log_level) == (1111, "error")
    assert settings_from(monkeypatch, PORT="2222").port == 2222


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("postgres://u:p@db/gonggu", "postgresql+asyncpg://u:p@db/gonggu"),
        ("postgresql://u:p@db:5433/gonggu", "postgresql+asyncpg://u:p@db:5433/gonggu"),
        ("postgresql+asyncpg://u:p@db/gonggu", "postgresql+asyncpg://u:p@db/gonggu"),
        ("postgres://u:p%40ss@db/gonggu", "postgresql+asyncpg://u:p%40ss@db/gonggu"),
        ("postgres://u:p@db/g?sslmode=require", "postgresql+asyncpg://u:p@db/g?ssl=require"),
        ("postgresql://u@/g?host=/run/pg", "postgresql+asyncpg://u@/g?host=/run/pg"),
    ],
)
def test_the_address_of_a_database_is_taken_as_platforms_write_it(
    monkeypatch: pytest.MonkeyPatch, given: str, kept: str
):
    url = settings_from(monkeypatch, DATABASE_URL=given).database_url
    assert url is not None
    assert url.replace("%2F", "/") == kept


BAD: list[tuple[dict[str, str], str]] = [
    ({"DATABASE_URL": "gonggu"}, "DATABASE_URL: Value error, write it as postgresql://"),
    ({"DATABASE_URL": "mysql://u@db/g"}, "DATABASE_URL: Value error, PostgreSQL is the one"),
    ({"DATABASE_URL": "sqlite:///g.db"}, "DATABASE_URL: Value error, PostgreSQL is the one"),
    ({"DATABASE_URL": "postgresql://u:p@db:port/g"}, "DATABASE_URL: Value error, write it as postgresql://"),
    ({"SECRET_KEY": "short"}, "SECRET_KEY: String should have at least 32 characters"),
    ({"PORT": "http"}, "PORT: Input should be a valid integer"),
    ({"PORT": "65536"}, "PORT: Input should be less than or equal to 65535"),
    ({"JOBS": "none"}, "JOBS: Input should be 'internal' or 'external'"),
    ({"GONGGU_LOG_FORMAT": "xml"}, "GONGGU_LOG_FORMAT: Input should be 'console' or 'json'"),
    ({"GONGGU_ACCESS_TOKEN_MINUTES": "0"}, "GONGGU_ACCESS_TOKEN_MINUTES: Input should be greater than"),
]


@pytest.mark.parametrize(("variables", "expected"), BAD, ids=str)
def test_a_bad_value_is_told_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
):
    told = complaint(monkeypatch, **variables)
    name, _, reason = expected.partition(": ")
    # A setting without an alias is told by its own name, which is the variable's without the prefix.
    assert told.startswith((f"{name}: {reason}", f"{name.removeprefix('GONGGU_').lower()}: {reason}")), told


def test_a_database_without_a_secret_key_stops_by_the_name_of_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
):
    settings = settings_from(monkeypatch, DATABASE_URL="postgres://u@db/g")
    with pytest.raises(MissingSetting, match=r"^SECRET_KEY is not set\..*token_urlsafe"):
        settings.signing_key()
    assert settings_from(monkeypatch, SECRET_KEY=KEY).signing_key() == KEY


def test_without_a_database_the_key_is_the_folders_own_and_stays(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data")
    key = settings.signing_key()
    assert len(key) >= 32
    assert Settings(data_dir=tmp_path / "data").signing_key() == key
    assert Settings(data_dir=tmp_path / "other").signing_key() != key
    assert stat.S_IMODE((tmp_path / "data" / "secret-key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", ()),
        ("https://a.example", ("https://a.example",)),
        (" https://a.example/ , https://b.example,", ("https://a.example", "https://b.example")),
    ],
)
def test_origins_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, origins: tuple[str, ...]
):
    assert settings_from(monkeypatch, GONGGU_ALLOWED_ORIGINS=given).allowed_origins == origins


def test_settings_do_not_change():
    settings: Any = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1
