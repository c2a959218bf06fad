"""What plugins offer: (kind, name) → a component that is imported when it is used."""

from vlc_core.registry.entry import KINDS, NAME, Entry, spoken
from vlc_core.registry.table import Registrar, Registry

__all__ = ["KINDS", "NAME", "Entry", "Registrar", "Registry", "spoken"]
