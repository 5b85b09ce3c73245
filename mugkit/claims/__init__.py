"""The paper's claims, and the ledger that decides them from a reproduction's numbers."""
