from func_host.durable.operations.values import unknown_entity, unknown_orchestrator


def test_what_is_not_there_is_told_in_the_words_of_the_extension() -> None:
    assert unknown_entity("nope", ("A", "B")) == (
        "The function 'nope' doesn't exist, is disabled, or is not an entity function. Additional "
        "info: The following are the known entity functions: 'A', 'B'."
    )
    assert unknown_orchestrator("nope", ()) == (
        "The function 'nope' doesn't exist, is disabled, or is not an orchestrator function. "
        "Additional info: No orchestrator functions are currently registered!"
    )
