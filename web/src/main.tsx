import { render } from "preact";
import { resume } from "./api/session";
import { App } from "./app";
import "./design/tokens.css";
import "./design/base.css";
import "./design/components.css";
import "./shell.css";
import "./pages/pages.css";
import { startRouter } from "./router";
import { applyTheme } from "./theme";

applyTheme();
startRouter();
void resume();
const root = document.getElementById("app");
if (root) render(<App />, root);
