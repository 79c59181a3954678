// The page: its bar, and what the address asks for.
import { render, type ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { useLoad } from "./api";
import { Build } from "./build";
import { Data } from "./data";
import { Model } from "./model";
import { Overview } from "./overview";
import { Empty, Title, focusNextTitle } from "./parts";
import { Serving } from "./serving";
import { Try } from "./try";
import "./app.css";

// "#/model/apparel?version=2" as its parts and its query.
export interface Place {
  parts: string[];
  query: URLSearchParams;
}
function place(): Place {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query ?? "") };
}

interface Page {
  name: string; // in the address
  title: string; // in the bar; "" when reached from another page
  draw: (place: Place) => ComponentChildren;
}
const pages: Page[] = [
  { name: "", title: "Overview", draw: () => <Overview /> },
  { name: "model", title: "", draw: (at) => <Model key={at.parts[1]} name={at.parts[1] ?? ""} at={at} /> },
  { name: "try", title: "Try", draw: (at) => <Try at={at} /> },
  { name: "data", title: "Data", draw: (at) => <Data at={at} /> },
  { name: "build", title: "Build", draw: (at) => <Build at={at} /> },
  { name: "serving", title: "Serving", draw: () => <Serving /> },
];

const themes = ["auto", "light", "dark"];
function Theme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("theme") ?? "auto");
  useLayoutEffect(() => {
    localStorage.setItem("theme", theme);
    const system = matchMedia("(prefers-color-scheme: dark)");
    const paint = () => {
      document.documentElement.dataset.theme = theme === "auto" ? (system.matches ? "dark" : "light") : theme;
    };
    paint();
    system.addEventListener("change", paint);
    return () => system.removeEventListener("change", paint);
  }, [theme]);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length];
  return (
    <button type="button" class="theme" aria-label={`Colours: ${theme}. Change to ${next}`} title={`colours: ${theme}`} onClick={() => setTheme(next)}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.2" class="ring" />
        {theme === "dark" ? <circle cx="8" cy="8" r="6.2" /> : theme === "auto" ? <path d="M8 1.800a6.200 6.200 0 0 0 0 12.400z" /> : null}
      </svg>
    </button>
  );
}

function App() {
  const [at, setAt] = useState(place);
  const { data } = useLoad<{ name: string }>("/v1/workspace/about");
  useEffect(() => {
    const moved = () => {
      const to = place();
      setAt((old) => {
        if (old.parts.join("/") !== to.parts.join("/")) {
          scrollTo(0, 0);
          focusNextTitle();
        }
        return to;
      });
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const name = at.parts[0] ?? "";
  const page = pages.find((each) => each.name === name);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/">
          <img src="/page/icon.svg" alt="" width="22" height="22" />
          <span>Sightline</span>
        </a>
        <span class="workspace" title="the workspace">
          {data?.name ?? ""}
        </span>
        <nav aria-label="Pages">
          {pages
            .filter((each) => each.title)
            .map((each) => (
              <a key={each.name} href={`#/${each.name}`} aria-current={each.name === name || (each.name === "" && name === "model") ? "page" : undefined}>
                {each.title}
              </a>
            ))}
        </nav>
        <Theme />
      </header>
      <main id="main" tabIndex={-1}>
        {page ? (
          page.draw(at)
        ) : (
          <>
            <Title text="No such page" />
            <Empty>
              There is no page “{name}”. <a href="#/">Back to the overview</a>
            </Empty>
          </>
        )}
      </main>
    </>
  );
}

render(<App />, document.getElementById("app")!);
