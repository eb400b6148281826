"""More and more users, in ten steps: `locust -f locustfiles/ramp.py --users 50 --run-time 60s`."""

from locustfiles.shapes import RampShape
from locustfiles.wallet import AddUser, MixUser, TransferUser, WithdrawUser

__all__ = ["AddUser", "MixUser", "RampShape", "TransferUser", "WithdrawUser"]
