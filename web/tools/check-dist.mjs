// Holds what was built to its promises: small, and nothing inline that the server's Content-Security-Policy forbids.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const MOST = 200 * 1024;
const dist = process.argv[2] ?? new URL("../../mqttbroker/admin/console/", import.meta.url).pathname;
let total = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const size = gzipSync(readFileSync(path)).length;
  total += size;
  console.log(`${String(size).padStart(7)}  ${path.slice(dist.length)}`);
}
console.log(`${String(total).padStart(7)}  compressed in all, of ${MOST}`);
const page = readFileSync(join(dist, "index.html"), "utf8");
const inline = /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=/i.exec(page);
const elsewhere = /(?:src|href)="(?:https?:)?\/\//i.exec(page);
if (total > MOST || inline || elsewhere) {
  console.error("index.html has something inline or from elsewhere, or the whole is too large");
  process.exit(1);
}
