# The production edge node: one static binary and nothing else.
#
#   CGO_ENABLED=0 go build -trimpath -tags edge -o carom ./cmd/carom && docker build -t carom .
#   docker run -p 8080:8080 -v /etc/carom:/etc/carom:ro -v /var/lib/carom:/var/lib/carom carom serve --config /etc/carom/edge.yaml
#
# With spool: /var/lib/carom/spool in edge.yaml what waits for ClickHouse outlives the container. User 65532 must be able to write there.
FROM scratch
COPY carom /carom
USER 65532:65532
EXPOSE 8080 9090
HEALTHCHECK CMD ["/carom", "healthcheck"]
ENTRYPOINT ["/carom"]
