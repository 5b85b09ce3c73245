"""Carries out the test of a claim: one function a kind of test, registered by the modules named here."""

from __future__ import annotations

from mugkit.results import decide_cost, decide_labels, decide_studies, decide_systems
from mugkit.results.claim_evidence import Evidence, Finding, Missing, decide

DECIDERS = (decide_systems, decide_labels, decide_cost, decide_studies)
__all__ = ["DECIDERS", "Evidence", "Finding", "Missing", "decide"]
