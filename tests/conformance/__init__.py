"""Sends the same requests to the real Prefect server and to ours, and compares every answer."""
