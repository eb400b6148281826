"""Load on a wallet service, judged by money: `locust -f locustfiles/wallet.py --host URL`.

Without named user classes the mix runs alone; name others (`WithdrawUser AddUser`), or choose them
on the web page with `--class-picker`. Locust's exit status is 0 if the wallets hold exactly what
was acknowledged, 1 if money was lost or made, 3 if that cannot be told.
"""

from locust import FastHttpUser, task

from locustfiles.answers import Answer, classify, problem_code
from locustfiles.lock_wait import note_waits
from locustfiles.requests import Request
from locustfiles.run import ANSWER_S_MAX, HOST, RUN


class WalletUser(FastHttpUser):
    """Sends one request after the other, without pause; subclasses choose which."""

    abstract = True
    host = HOST
    accounts_min = 1
    by_default = False  # but users of your own, beside these, are
    network_timeout = ANSWER_S_MAX
    connection_timeout = ANSWER_S_MAX

    def on_start(self) -> None:
        self.name, self.luck = RUN.join(self.environment)

    def choose(self) -> Request:
        raise NotImplementedError

    @task
    def act(self) -> None:
        """Send one request and note what is known about the money before and after."""
        request, tally = self.choose(), RUN.tally
        tally.begin(request.effects)
        with (
            RUN.journal.call(self.name, request) as noted,
            self.client.request(
                "GET" if request.body is None else "POST",
                request.path,
                json=noted.body,
                name=request.kind,
                catch_response=True,
            ) as response,
        ):
            noted.returned()
            status = response.status_code
            code = "" if 200 <= status < 300 else problem_code(response.content)
            answer = classify(status, code)
            code = code or (f"http_{status}" if status else type(response.error).__name__)
            tally.end(request.kind, answer, code, request.effects)
            noted.end(answer, code, response.content)
            if answer is Answer.OK or answer is Answer.REFUSED:
                if answer is Answer.REFUSED:
                    response.request_meta["name"] = f"{request.kind} refused: {code}"
                response.success()
                tally.note(request.kind, "latency", response.request_meta["response_time"])
            else:
                response.failure(code)
            if response.headers is not None:
                tally.served_by(response.headers.get("walletrace-worker"))
                header = response.headers.get("server-timing")
                note_waits(header, request.kind, tally, self.environment.stats)


class WithdrawUser(WalletUser):
    """Only takes money out."""

    def choose(self) -> Request:
        return self.luck.draw("withdraw")


class AddUser(WalletUser):
    """Only puts money in."""

    def choose(self) -> Request:
        return self.luck.draw("add")


class TransferUser(WalletUser):
    """Only moves money between wallets: needs `--accounts 2` or more."""

    accounts_min = 2

    def choose(self) -> Request:
        return self.luck.draw("transfer")


class MixUser(WalletUser):
    """Withdrawals, additions, transfers, batches and balance checks, see `requests.MIX`."""

    by_default = True

    def choose(self) -> Request:
        return self.luck.mixed()
