# Both services, one image each: docker build --target registry (or registry-web) .
#
# BASE_IMAGE may be any Debian or Ubuntu with Python 3.11 or newer and its venv module.
# Where the package index is far or out of reach, give PIP_INDEX_URL, or put every needed wheel into wheels/
# (pip wheel --wheel-dir wheels ".[postgres]" "setuptools>=77"): then nothing is fetched.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# pip itself stays behind in this stage, outside the environment that the images take over.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/cangku
# The pattern lets wheels/ be absent: pyproject.toml is there in any case.
COPY pyproject.toml wheel[s] /wheels/
# The dependencies come first, so that a change of our code does not fetch them again.
RUN if ls /wheels/*.whl >/dev/null 2>&1; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; fi; \
    python3 -c 'import tomllib; project = tomllib.load(open("/wheels/pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], *project["optional-dependencies"]["postgres"], sep="\n")' > requirements.txt && \
    /opt/pip/bin/pip --python /opt/cangku/bin/python install --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY registry_service registry_service
COPY web_service web_service
RUN if ls /wheels/*.whl >/dev/null 2>&1; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; fi; \
    /opt/pip/bin/pip --python /opt/cangku/bin/python install --no-deps .

FROM ${BASE_IMAGE} AS runtime
RUN groupadd --gid 1000 cangku && \
    useradd --uid 1000 --gid cangku --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin cangku
COPY --from=build /opt/cangku /opt/cangku
ENV PATH=/opt/cangku/bin:$PATH PYTHONUNBUFFERED=1

FROM runtime AS registry
COPY conf/registry/config.yml /etc/docker/registry/config.yml
RUN install --directory --owner cangku --group cangku /var/lib/registry
USER cangku
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/', timeout=4)"]
ENTRYPOINT ["registry"]
CMD ["serve", "/etc/docker/registry/config.yml"]

FROM runtime AS registry-web
COPY conf/registry-web/config.yml /conf/config.yml
RUN install --directory --owner cangku --group cangku /data
USER cangku
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health', timeout=4)"]
ENTRYPOINT ["registry-web"]
CMD ["serve", "/conf/config.yml"]
