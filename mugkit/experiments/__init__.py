"""From a specification to a stored result: registry of systems, run store, scheduler, searches."""
