"""Who runs next, and where: pure functions of what waits, what runs, what there is, and the time."""

from mapi.scheduling.capacity import InventoryView, NodeView, Placed, Waiting, order
from mapi.scheduling.explain import Wait, explain, explain_all
from mapi.scheduling.forecast import forecast
from mapi.scheduling.plan import Plan, plan
from mapi.scheduling.priorities import PRIORITIES, parse_priority
from mapi.scheduling.resolve import resolve

__all__ = [
    "PRIORITIES",
    "InventoryView",
    "NodeView",
    "Placed",
    "Plan",
    "Wait",
    "Waiting",
    "explain",
    "explain_all",
    "forecast",
    "order",
    "parse_priority",
    "plan",
    "resolve",
]
