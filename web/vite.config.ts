import { defineConfig } from "vitest/config";

// Where a broker's admin server is, while developing. The guard of that server compares Origin with Host, so that the
// proxy has to present itself as the server's own page.
const broker = process.env["BROKER"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    // Where the broker serves it from, and a wheel has it.
    outDir: "../mqttbroker/admin/console",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": {
        target: broker,
        changeOrigin: true,
        headers: { origin: new URL(broker).origin },
      },
    },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
