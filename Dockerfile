# The worker and its commands; the simulator of the national API is in it too. Versions come from the lock files.

FROM python:3.13.18-slim-trixie AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
# What house-ca/ has is trusted from here on: pip takes the system's authorities, uv those of SSL_CERT_FILE.
COPY house-ca /usr/local/share/ca-certificates
RUN update-ca-certificates
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
WORKDIR /build
COPY .ci/bootstrap.lock .ci/requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock
# The lock holds the tests' tools too; as a constraint it gives versions and hashes, and leaves those out. Microsoft's
# driver comes as a wheel (mssql-python-odbc), locked by its hash as all else.
RUN uv venv --python /usr/local/bin/python3.13 /opt/streams \
    && uv pip install --no-cache --python /opt/streams/bin/python --require-hashes \
        -c requirements.lock -r pyproject.toml --extra sqlserver --extra tracing

FROM python:3.13.18-slim-trixie
# The ODBC manager; Kerberos, without which the driver does not load; tini, which passes SIGTERM on to the worker.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libodbc2 libgssapi-krb5-2 tini \
    && rm -rf /var/lib/apt/lists/*
COPY house-ca /usr/local/share/ca-certificates
RUN update-ca-certificates
COPY --from=build /opt/streams /opt/streams
WORKDIR /app
COPY streams streams
COPY connectors connectors
RUN useradd --system --uid 10001 --home-dir /var/lib/streams --create-home streams
USER streams
ENV PATH=/opt/streams/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# Here, and not at the first sale, a driver or a library that is missing shows.
RUN ["python", "-c", "from streams.stores.odbc_driver import microsoft_driver; print(microsoft_driver())"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"WEB_PORT\", \"6066\")}/livez', timeout=4)"]
ENTRYPOINT ["/usr/bin/tini", "--"]
# SIGTERM finishes what is in flight: give it 40 seconds.
CMD ["faust", "-A", "streams.app", "worker"]
