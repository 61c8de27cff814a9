"""From folders to an index: what is found, and every mistake at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from func_bindings import AuthLevel
from func_bindings.metadata import ActivityTrigger, HttpTrigger, OrchestrationTrigger
from func_host.errors import AppError
from func_host.indexing import FunctionIndex, IndexedFunction, IndexingError, build_index

WriteApp = Callable[..., Path]

IMPORTS = """\
from func_bindings import *
"""

IndexOf = Callable[[str], FunctionIndex]
ProblemsOf = Callable[[str], tuple[str, ...]]


def only(index: FunctionIndex) -> IndexedFunction:
    (function,) = index.functions
    return function


def test_an_app_is_indexed_with_all_that_the_host_needs(write_app: WriteApp) -> None:
    source = """
        from func_bindings import *

        @activity_trigger
        def say_hello(city: str) -> str:
            return f"Hello {city}!"

        @orchestration_trigger
        async def hello_cities(context: OrchestrationContext) -> list[str]:
            return [await context.call_activity(say_hello, "Tokyo")]

        @route("orchestrators/{name}", methods=["POST"])
        @durable_client
        async def start(request: HttpRequest, client: DurableClient): ...
    """
    folder = write_app(source, "hello")

    index = build_index([folder])

    hello, cities, start = index.functions
    assert [each.name for each in index.functions] == ["say_hello", "hello_cities", "start"]
    assert hello.trigger == ActivityTrigger(parameter="city")
    assert (hello.input_type, hello.result_type, hello.is_async) == (str, str, False)
    assert (hello.app, hello.app_dir) == ("hello", folder)
    assert hello.location.file == str(folder / "function_app.py")
    assert hello.location.line == 4
    assert cities.trigger == OrchestrationTrigger(parameter="context")
    assert (cities.result_type, cities.is_async) == (list[str], True)
    assert start.trigger == HttpTrigger(
        parameter="request",
        route="orchestrators/{name}",
        methods=("POST",),
        auth_level=AuthLevel.FUNCTION,
    )
    assert [each.parameter for each in start.client_inputs] == ["client"]
    assert index.http_functions == (start,)
    assert index.activity("SAY_hello") is hello
    assert index.activity(hello.function) is hello
    assert index.orchestrator("hello_cities") is cities
    assert index.orchestrator("say_hello") is None
    assert index.activity("hello_cities") is None
    assert index.warnings == ()


def test_app_objects_and_free_decorators_mix(write_app: WriteApp) -> None:
    files = {
        "function_app.py": """
            import func_bindings as func
            from billing import bp
            from tasks import clean_up, log
            app = func.FunctionApp(http_auth_level="anonymous")
            app.register_functions(bp)

            @app.route(route="a", auth_level="Admin")
            def a(req: func.HttpRequest): ...

            @func.route
            def b(req): ...

            @app.route()
            @func.durable_client
            def c(req, client): ...
        """,
        "billing.py": """
            from func_bindings import Blueprint
            bp = Blueprint()

            @bp.function_name("PayNow")
            @bp.route(route="pay")
            def pay(req): ...
        """,
        "tasks.py": """
            from func_bindings import activity_trigger
            @activity_trigger
            def clean_up(): ...
            @activity_trigger
            def log(text): ...
        """,
    }
    index = build_index([write_app(files)])

    levels = {
        each.name: each.trigger.auth_level
        for each in index.functions
        if isinstance(each.trigger, HttpTrigger)
    }
    assert levels == {
        "a": AuthLevel.ADMIN,
        "b": AuthLevel.FUNCTION,
        "c": AuthLevel.ANONYMOUS,
        "PayNow": AuthLevel.ANONYMOUS,
    }
    assert index.activity_names == ("clean_up", "log")


def test_what_function_app_imports_is_served_but_nothing_else(write_app: WriteApp) -> None:
    files = {
        "function_app.py": "import imported\n",
        "imported.py": IMPORTS + "@activity_trigger\ndef mine(): ...\n",
        "not_imported.py": IMPORTS + "@activity_trigger\ndef other(): ...\n",
    }

    assert build_index([write_app(files)]).activity_names == ("mine",)


def test_a_function_that_several_modules_import_is_one(write_app: WriteApp) -> None:
    files = {
        "a.py": "from pkg import f\nfrom b import f as again\n",
        "b.py": "from pkg.m import f\n",
        "pkg/__init__.py": "from .m import f\n",
        "pkg/m.py": IMPORTS + "app = FunctionApp()\n@app.activity_trigger\ndef f(): ...\n",
    }

    assert build_index([write_app(files)]).activity_names == ("f",)


def test_a_blueprint_that_is_registered_nowhere_is_a_warning(write_app: WriteApp) -> None:
    files = {
        "function_app.py": IMPORTS + "import lost\n@route\ndef a(req): ...\n",
        "lost.py": "from func_bindings import Blueprint\nbp = Blueprint()\n\n"
        "@bp.route\ndef b(req): ...\n",
    }
    folder = write_app(files)

    index = build_index([folder])

    assert [each.name for each in index.functions] == ["a"]
    assert len(index.warnings) == 1
    assert index.warnings[0].startswith(f"{folder / 'lost.py'}:4: ")
    assert "register_functions" in index.warnings[0]


def test_an_app_object_that_no_module_holds_is_a_warning(index_of: IndexOf) -> None:
    source = "@route\ndef a(req): ...\napp = FunctionApp()\n@app.route\ndef b(req): ...\ndel app\n"

    assert "assign it to a variable" in index_of(source).warnings[0]


def test_a_folder_where_only_a_lost_blueprint_is_tells_both(problems_of: ProblemsOf) -> None:
    problems = problems_of("bp = Blueprint()\n@bp.route\ndef b(req): ...\n")

    assert "register_functions" in "".join(problems)
    assert "no function was found" in "".join(problems)


def test_a_blueprint_registered_before_its_functions_were_added_counts(index_of: IndexOf) -> None:
    source = """
app = FunctionApp()
bp = Blueprint()
app.register_blueprint(bp)
@bp.activity_trigger
def late(): ...
"""
    assert index_of(source).activity_names == ("late",)


def test_a_name_may_be_used_once_whatever_its_case_and_app(write_app: WriteApp) -> None:
    first = write_app(IMPORTS + "@route\ndef hello(req): ...\n", "first")
    second = write_app(IMPORTS + "@activity_trigger(name='HELLO')\ndef f(): ...\n", "second")

    with pytest.raises(IndexingError) as caught:
        build_index([first, second])

    (problem,) = caught.value.problems
    assert problem.startswith(f"{second / 'function_app.py'}:2: HELLO: ")
    assert f"{first / 'function_app.py'}:2 already" in problem


def test_callables_that_are_no_functions_can_be_decorated(index_of: IndexOf) -> None:
    source = """
import dataclasses, functools
@dataclasses.dataclass
class Adder:
    async def __call__(self, x: int) -> int: return x + 1
def add(by, x): return by + x
add_one = activity_trigger(name="add_one")(Adder())
add_two = activity_trigger(name="add_two")(functools.partial(add, 2))
"""
    index = index_of(source)

    assert [(each.name, each.is_async) for each in index.functions] == [
        ("add_one", True),
        ("add_two", False),
    ]
    assert index.functions[1].call({"x": 3}) == 5
    assert index.functions[0].location.line == 6
    assert index.functions[1].location.line == 7


def test_a_wrapper_of_the_apps_own_is_what_is_called(index_of: IndexOf) -> None:
    source = """
import functools
def twice(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs): return f(*args, **kwargs) * 2
    return wrapper
app = FunctionApp()
@activity_trigger
@twice
def free(x: int) -> int: return x
@app.activity_trigger
@twice
def owned(x): return x
@twice
@activity_trigger
def outside(x): return x
@app.function_name("renamed")
@twice
@app.activity_trigger
def between(x): return x
"""
    index = index_of(source)

    calls = {each.name: each.call({"x": 2}) for each in index.functions}
    assert calls == {"free": 4, "owned": 4, "outside": 4, "renamed": 4}
    assert {each.name: each.input_type for each in index.functions}["free"] is int


def test_a_function_decorated_and_wrapped_under_another_name_is_one(index_of: IndexOf) -> None:
    source = """
import functools
@activity_trigger
def work(x): return x
traced = functools.wraps(work)(lambda x: work(x))
"""
    assert only(index_of(source)).call({"x": 1}) == 1


def test_folders_that_are_missing_or_files_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "function_app.py"
    file.write_text("")

    with pytest.raises(IndexingError) as caught:
        build_index([tmp_path / "nowhere", file])

    assert isinstance(caught.value, AppError)
    file_problem, folder_problem = caught.value.problems
    assert file_problem == f"{file}: this is a file: give the folder that holds it."
    assert folder_problem.startswith(f"{tmp_path / 'nowhere'}: there is no such folder: ")


def test_a_folder_without_any_function_is_told(write_app: WriteApp) -> None:
    folder = write_app({"notes.txt": "", "plain.py": "def f(): ..."})

    with pytest.raises(IndexingError, match="no function was found there"):
        build_index([folder])


def test_a_folder_given_twice_is_one_app(write_app: WriteApp) -> None:
    folder = write_app(IMPORTS + "@route\ndef f(req): ...\n")

    assert len(build_index([folder, folder / ".." / folder.name]).functions) == 1


def test_indexing_again_sees_what_has_changed(write_app: WriteApp) -> None:
    source = IMPORTS + "@activity_trigger\ndef f(): return {}\n"
    before = only(build_index([write_app(source.format(1))]))
    after = only(build_index([write_app(source.format("'much later'"))]))

    assert (before.call({}), after.call({})) == (1, "much later")


def test_objects_that_answer_to_every_attribute_do_not_disturb(index_of: IndexOf) -> None:
    source = """
class Anything:
    def __getattr__(self, name): raise RuntimeError(name)
class Everything:
    def __getattr__(self, name): return self
a, b = Anything(), Everything()
@route
def f(req): ...
"""
    assert only(index_of(source)).name == "f"


def test_functions_of_the_older_model_are_told(write_app: WriteApp) -> None:
    folder = write_app({"Hello/function.json": "{}", "Hello/__init__.py": "def main(req): ..."})

    with pytest.raises(IndexingError, match=r"function\.json files, which this host does not read"):
        build_index([folder])
