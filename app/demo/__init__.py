"""A neighbourhood to try things in: invented people at real marts of Seoul, and their parties."""

from app.demo.load import PASSWORD, load_demo
from app.demo.show import show_demo

__all__ = ["PASSWORD", "load_demo", "show_demo"]
