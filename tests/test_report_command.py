"""`mugkit report`: the ledger and the page from a folder of outputs, and what it says without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mugkit import cli, files
from mugkit.claims.stated import CLAIMS


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    entry = {
        "notebook": "00_start_here",
        "dataset": "gone",
        "data": "0",
        "profile": "smoke",
        "seeds": [1],
        "sha256": "0",
    }
    files.write_json(tmp_path / "figures" / "manifest.json", {"fig1.json": {**entry, "device": "cpu"}})
    return tmp_path / "figures"


def report(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mugkit", "report", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.app()
    return int(caught.value.code or 0)


def test_report_writes_the_ledger_and_the_page(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, "--out", str(outputs), "--to", str(tmp_path / "page.html")) == 0
    printed = capsys.readouterr().out
    assert f"{len(CLAIMS)} claims: 1 supported, 0 not supported, 0 undecided, {len(CLAIMS) - 1} needs data" in printed
    assert f"report: {tmp_path / 'page.html'}" in printed
    assert len(files.read_json(outputs / "claims.json")) == len(CLAIMS)
    assert "profile <code>smoke</code>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_report_is_written_beside_the_tables_by_default(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report(monkeypatch, "--out", str(outputs)) == 0
    assert (outputs / "report.html").is_file()


def test_report_of_an_empty_folder_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, "--out", str(tmp_path)) == 2
    assert "mugkit reproduce" in capsys.readouterr().err


def test_report_builds_the_book_where_it_is_told_to(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("make_book.build", lambda target: target / "index.html")
    assert report(monkeypatch, "--out", str(outputs), "--book", str(tmp_path / "book")) == 0
    assert f"book: {tmp_path / 'book' / 'index.html'}" in capsys.readouterr().out


def test_report_builds_no_book_where_there_is_no_checkout(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "repository", lambda: None)
    assert report(monkeypatch, "--out", str(outputs), "--book", str(tmp_path / "book")) == 2
    assert "clone the repository" in capsys.readouterr().err


def test_report_without_outputs_names_the_folder_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, "--out", str(tmp_path / "gone")) == 2
    assert f"mugkit reproduce --out {tmp_path / 'gone'}`" in capsys.readouterr().err


def test_report_that_is_a_folder_is_named(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(monkeypatch, "--out", str(outputs), "--to", str(tmp_path)) == 2
    assert f"{tmp_path}: --to: this is a folder" in capsys.readouterr().err
