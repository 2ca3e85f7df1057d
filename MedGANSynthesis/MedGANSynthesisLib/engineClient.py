"""The one engine client of the application: started with the first job, ended with the application."""

from __future__ import annotations

import slicer

_client = None


def engineClient():
    """The client all modules share; the worker process itself starts with the first job."""
    global _client
    if _client is None:
        from medgan.client import Client

        from .QProcessTransport import QProcessTransport

        _client = Client(QProcessTransport())
        slicer.app.connect("aboutToQuit()", stopEngine)
    return _client


def stopEngine() -> None:
    """Cancel all jobs, end the worker and free its memory; the next job starts another."""
    if _client is not None:
        _client.stop()
