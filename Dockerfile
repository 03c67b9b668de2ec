# One image for every role: `docker run troupe/troupe gateway`. Build it with `make image`, which fills in VERSION and REVISION;
# docs/deploy-containers.md says how to run it.
ARG NODE_IMAGE=docker.io/library/node:24-slim

# What runs any Node.js program, and nothing else: node, the libraries that it loads, `env` for the first line of the command.
# No shell, no package manager. Scanners find what is here in var/lib/dpkg/status.d.
FROM ${NODE_IMAGE} AS runtime
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN mkdir -p /runtime/{etc,usr/bin,usr/local/bin,usr/share/doc,var/lib/dpkg/status.d}; \
    ldd /usr/local/bin/node /usr/bin/env | grep -oE '/[^ :)]+\.so[^ :)]*' | sort -u | xargs cp -L --parents -t /runtime; \
    cp /usr/local/bin/node /runtime/usr/local/bin/; \
    cp /usr/bin/env /runtime/usr/bin/; \
    cp -L /etc/os-release /runtime/etc/; \
    for package in base-files coreutils libc6 libgcc-s1 libstdc++6; do \
      dpkg-query --status "$package" > "/runtime/var/lib/dpkg/status.d/$package"; \
      cp -L --parents "/usr/share/doc/$package/copyright" /runtime; \
    done; \
    echo 'hosts: files dns' > /runtime/etc/nsswitch.conf; \
    echo 'troupe:x:10001:10001::/data:/nonexistent' > /runtime/etc/passwd; \
    echo 'troupe:x:10001:' > /runtime/etc/group; \
    install -d -m 1777 /runtime/tmp; \
    mkdir /volume
# The same sources give the same layers.
ARG SOURCE_DATE_EPOCH=0
RUN find /runtime /volume -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM ${NODE_IMAGE} AS build
WORKDIR /opt/troupe
COPY package.json package-lock.json ./
# A registry of your own, and its certificate: `--secret id=npmrc,src=$HOME/.npmrc`.
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts --no-audit --no-fund
COPY LICENSE tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY proto proto
COPY src src
COPY examples examples
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && node scripts/image-files.mjs /app
ARG SOURCE_DATE_EPOCH=0
RUN find /app -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM scratch
COPY --from=runtime /runtime/ /
COPY --from=build /app/ /
# Some builders give what they copy to root unless told otherwise.
COPY --from=runtime --chown=10001:10001 /volume /data
ENV PATH=/usr/local/bin:/usr/bin NODE_ENV=production TROUPE_HOST=0.0.0.0 TROUPE_OPS_PORT=9464
WORKDIR /opt/troupe
USER 10001:10001
# Registry, node, gateway, operations.
EXPOSE 8000 8765 8080 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["node", "/opt/troupe/dist/src/app/probe.js", "/health"]
ENTRYPOINT ["troupe"]
CMD ["--help"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="Troupe" \
      org.opencontainers.image.description="A distributed runtime for AI agents over gRPC" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:24-slim"
