import logging

from func_host.cli.levels import log_levels
from func_host.config import LogLevel


def test_the_host_is_quiet_and_user_code_is_not() -> None:
    levels = log_levels({}, verbose=False)

    assert levels[""] == logging.INFO
    assert levels["func_host"] == levels["uvicorn"] == logging.WARNING


def test_a_verbose_host_says_what_it_does() -> None:
    assert log_levels({}, verbose=True)["func_host"] == logging.INFO


def test_azures_categories_are_the_loggers_they_mean() -> None:
    levels = log_levels(
        {
            "Default": LogLevel.WARNING,
            "Host": LogLevel.DEBUG,
            "Host.Results": LogLevel.ERROR,
            "Function.pay.User": LogLevel.ERROR,
            "shop.cart": LogLevel.NONE,
        },
        verbose=False,
    )

    assert levels[""] == logging.WARNING
    assert levels["func_host"] == levels["uvicorn"] == logging.DEBUG
    assert levels["shop.cart"] == logging.CRITICAL + 10
    assert not {"Default", "Host", "Host.Results", "Function.pay.User"} & levels.keys()


def test_the_storage_clients_do_not_tell_of_every_request_unless_asked() -> None:
    requests = "azure.core.pipeline.policies.http_logging_policy"

    assert log_levels({}, verbose=True)[requests] == logging.WARNING
    assert log_levels({requests: LogLevel.DEBUG}, verbose=False)[requests] == logging.DEBUG
