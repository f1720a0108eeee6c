# The worker and its commands; the simulator of the national API is in it too. Versions come from the lock files.

FROM python:3.11.15-slim-bookworm AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY .ci/bootstrap.lock .ci/requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock
# The lock holds the tests' tools too; as a constraint it gives versions and hashes, and leaves those out.
RUN uv venv --python /usr/local/bin/python3.11 /opt/streams \
    && uv pip install --no-cache --python /opt/streams/bin/python --require-hashes \
        -c requirements.lock -r pyproject.toml --extra sqlserver --extra tracing
# Microsoft's driver comes as a wheel (mssql-python-odbc): locked by its hash as all else, and no foreign package
# source with a key of its own. unixODBC has to be told its name.
RUN set -- /opt/streams/lib/python3.11/site-packages/mssql_python_odbc/libs/linux/debian_ubuntu/*/lib/libmsodbcsql-18.* \
    && test -f "$1" \
    && printf '[ODBC Driver 18 for SQL Server]\nDriver=%s\n' "$1" > odbcinst.ini

FROM python:3.11.15-slim-bookworm
# The ODBC manager; Kerberos, without which the driver does not load; tini, which passes SIGTERM on to the worker.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libodbc2 libgssapi-krb5-2 tini \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/streams /opt/streams
COPY --from=build /build/odbcinst.ini /etc/odbcinst.ini
# Here, and not at the first sale, a library that is missing shows.
RUN ! ldd "$(sed -n 's/^Driver=//p' /etc/odbcinst.ini)" | grep 'not found'
WORKDIR /app
COPY streams streams
COPY connectors connectors
RUN useradd --system --uid 10001 --home-dir /var/lib/streams --create-home streams
USER streams
ENV PATH=/opt/streams/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"WEB_PORT\", \"6066\")}/livez', timeout=4)"]
ENTRYPOINT ["/usr/bin/tini", "--"]
# SIGTERM finishes what is in flight: give it 40 seconds.
CMD ["faust", "-A", "streams.app", "worker"]
