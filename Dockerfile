# func-host with the samples of this repository:
#
#     docker build -t func-host-samples .
#     docker run -e FUNC_HOST_MASTER_KEY=a-key-of-yours -p 127.0.0.1:7071:7071 func-host-samples
#
# Without AzureWebJobsStorage state lies in one SQLite file: mount a volume on /app/.func-host.

FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /source
COPY constraints.txt ./
RUN ["python", "-m", "pip", "install", "--require-hashes", "--no-deps", "--requirement", "constraints.txt"]
COPY pyproject.toml README.md LICENSE ./
COPY bindings bindings
COPY host host
RUN ["python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "."]

WORKDIR /app
COPY host.json ./
COPY samples samples
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin func \
    && install --directory --owner=func /app/.func-host
USER func

EXPOSE 7071
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7071/admin/host/ping', timeout=4)"]

# Exec form: SIGTERM reaches the host itself, which lets what runs end for up to drainTimeout.
ENTRYPOINT ["func-host"]
CMD ["start", "/app", "--host", "0.0.0.0", "--port", "7071", "--verbose"]
