"""Guarded discovery of plugins: one that fails is listed with its reason and never takes the others down."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import pluggy

from vlc_core import hookspecs
from vlc_core.errors import VlcError
from vlc_core.plugins.discovery import GROUP, Offer, discover
from vlc_core.registry import NAME, Registrar, Registry

RESTRICT = "VLC_PLUGINS"
Status = Literal["ok", "broken", "incompatible", "conflict", "disabled", "missing"]


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """What became of one plugin.

    Attributes:
        name: The plugin's name.
        distribution: The distribution that brings it.
        version: Of that distribution.
        status: ``ok``; ``broken`` (its code failed); ``incompatible`` (it excludes the running vlc-core);
            ``conflict`` (two distributions claim the name); ``disabled`` (by ``VLC_PLUGINS``); ``missing``
            (``VLC_PLUGINS`` names it, nothing brings it).
        reason: One sentence on why it is not ok.
        mend: What to do about it.
        details: The traceback, where its code failed.
    """

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    mend: str = ""
    details: str = ""


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


@dataclass(slots=True)
class Plugins:
    """The plugins of this process.

    Attributes:
        registry: Every component of those that are ok.
        manager: pluggy's manager; its ``hook`` calls all at once, :meth:`call` one by one and guarded.
        status: Every plugin that was found, sorted by name.
    """

    registry: Registry = field(default_factory=Registry)
    manager: pluggy.PluginManager = field(default_factory=_manager)
    status: list[PluginStatus] = field(default_factory=list)

    @property
    def hook(self) -> pluggy.HookRelay:
        """Calls a hook in all plugins; what one of them raises comes out."""
        return self.manager.hook

    def call(self, hook: str, **arguments: Any) -> list[PluginStatus]:
        """Calls ``hook`` in each plugin in order of names; one that raises is silenced and listed as broken.

        Its components stay, as a run may be using them. Errors of vlc itself come out: by one of those a
        plugin ends a run on purpose. So does everything from what was registered with the manager directly.

        Returns:
            The plugins that were silenced by this call.
        """
        silenced = []
        known = {s.name: s for s in self.status if s.status == "ok"}
        for name in sorted(name for name, _ in self.manager.list_name_plugin()):
            try:
                self._call_one(name, hook, arguments)
            except (Exception, SystemExit) as error:
                if name not in known or isinstance(error, VlcError):
                    raise
                silenced.append(self._silence(known[name], f"its {hook} raised {_name(error)}", error))
        return silenced

    def load(self, offer: Offer) -> None:
        """Imports one plugin, checks its hooks and lets it register its components."""
        status = PluginStatus(offer.name, offer.distribution, offer.version, "ok")
        self.status.append(status)
        doing = "importing it"
        try:
            self._register(offer)
            doing = "its vlc_register"
            self._call_one(offer.name, doing[4:], {"registry": Registrar(self.registry, offer.name)})
        except (Exception, SystemExit) as error:
            self.registry.remove(offer.name)
            self._silence(status, f"{doing} raised {_name(error)}", error)

    def reject(self, offer: Offer, status: Status, reason: str, mend: str) -> None:
        """Lists a plugin that is not to be loaded."""
        self._list(PluginStatus(offer.name, offer.distribution, offer.version, status, reason, mend))

    def _list(self, status: PluginStatus) -> None:
        self.status.append(status)
        self.registry.unavailable[status.name] = f"{status.status}: {status.reason}; {status.mend}"

    def _register(self, offer: Offer) -> None:
        plugin = offer.load()
        if isinstance(plugin, type):
            plugin = plugin()
        twin = self.manager.get_name(plugin)
        if plugin is None or twin is not None:
            raise ValueError(f"{offer.target} is {'None' if plugin is None else f'also the plugin {twin!r}'}")
        self.manager.register(plugin, name=offer.name)
        self.manager.check_pending()
        if not self.manager.get_hookcallers(plugin):
            raise ValueError(f"{offer.target} implements no hook; mark its functions with @vlc_core.hookimpl")

    def _call_one(self, name: str, hook: str, arguments: dict[str, Any]) -> None:
        others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name]
        self.manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)

    def _silence(self, status: PluginStatus, reason: str, error: BaseException) -> PluginStatus:
        """Takes a plugin's hooks out and lists it as broken."""
        if self.manager.has_plugin(status.name):
            self.manager.unregister(name=status.name)
        self.status = [s for s in self.status if s is not status]
        broken = replace(
            status,
            status="broken",
            reason=reason,
            mend=_mend(status, error),
            details="".join(traceback.format_exception(error)),
        )
        self._list(broken)
        self.status.sort(key=lambda s: (s.name, s.distribution))
        return broken


@cache
def plugins() -> Plugins:
    """The plugins of this process, loaded on first use."""
    return load_plugins()


def load_plugins() -> Plugins:
    """Finds, checks and loads every plugin, in the order of their names.

    The environment variable ``VLC_PLUGINS`` restricts them to the names it lists; empty, it switches all off.
    """
    offers = discover()
    wanted = _wanted()
    claims = Counter(offer.name for offer in offers)
    loaded = Plugins()
    for offer in offers:
        if wanted is not None and offer.name not in wanted:
            loaded.reject(offer, "disabled", f"{RESTRICT} leaves it out", f"add {offer.name} to {RESTRICT} or unset it")
        elif claims[offer.name] > 1:
            claimants = " and ".join(o.distribution for o in offers if o.name == offer.name)
            loaded.reject(offer, "conflict", f"{claimants} both call a plugin {offer.name!r}", "uninstall one of them")
        elif not NAME.fullmatch(offer.name):
            loaded.reject(
                offer,
                "broken",
                f"{offer.name!r} is no name for an entry point of {GROUP}",
                "use letters, digits, '-', '_' and '.'",
            )
        elif refusal := offer.refuses():
            mend = f"pip install --upgrade {offer.distribution}, or install the vlc-core that it asks for"
            loaded.reject(offer, "incompatible", refusal, mend)
        else:
            loaded.load(offer)
    for name in sorted((wanted or set()) - set(claims)):
        absent = Offer(name, "", "", "")
        known = ", ".join(sorted(claims)) or "none"
        loaded.reject(absent, "missing", f"{RESTRICT} names it and nothing installed brings it", f"installed: {known}")
    loaded.status.sort(key=lambda s: (s.name, s.distribution))
    return loaded


def _wanted() -> set[str] | None:
    """The names in ``VLC_PLUGINS``; None where it is not set."""
    text = os.environ.get(RESTRICT)
    return None if text is None else {name.strip() for name in text.split(",") if name.strip()}


def _name(error: BaseException) -> str:
    """The error on one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _mend(status: PluginStatus, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"pip install --force-reinstall {status.distribution}, which brings what it needs"
    if isinstance(error, pluggy.PluginValidationError):
        return "its author must follow the hooks of vlc_core.hookspecs"
    return f"upgrade or uninstall {status.distribution}, or leave it out by {RESTRICT}"
