# One image for both programs: `serve` (a replica of the control plane, the default) and `agent`.

FROM node:20-bookworm-slim AS build
WORKDIR /berth
# Before the sources, so that a change of them does not install everything again.
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
ENV NODE_ENV=production \
    BIND=0.0.0.0 \
    AGENT_BIND=0.0.0.0 \
    BERTH_DATA_DIR=/var/lib/berth
WORKDIR /berth
# A volume that is mounted here takes over this owner.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/berth
COPY --from=build /berth/package.json ./
COPY --from=build /berth/node_modules ./node_modules
COPY --from=build /berth/dist ./dist
COPY resources ./resources
USER node
EXPOSE 8080 8081
# Of a replica; docker-compose.yml has the one of an agent. The image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/bin/berth.js"]
CMD ["serve"]
