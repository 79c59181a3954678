// A picture asked of a model: dropped, pasted, chosen or from the camera; what it says, drawn and in words, and how long that took.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Place } from "./app";
import { ApiError, ask, part, useLoad, useRoutes, type Overview } from "./api";
import { Empty, Panel, Problem, Title, Waiting, milliseconds, percent } from "./parts";

interface Answer {
  model: string;
  version: number;
  task: string;
  classes?: { name: string; probability: number }[];
  [key: string]: unknown;
}
interface Asked {
  name: string;
  picture: string; // address of the blob
  drawn: string | null;
  answer: Answer;
  took: number; // ms from the request to the whole answer
}

async function drawnPicture(path: string, picture: Blob): Promise<string | null> {
  const response = await fetch(`${path}?draw=1`, { method: "POST", headers: { "Content-Type": picture.type || "application/octet-stream" }, body: picture });
  return response.ok ? URL.createObjectURL(await response.blob()) : null;
}

function Camera({ onPicture }: { onPicture: (picture: Blob) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let stream: MediaStream | null = null;
    let gone = false;
    if (!navigator.mediaDevices) {
      setProblem("the browser gives no camera to a page that is not of this machine and not served over TLS");
      return undefined;
    }
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }).then(
      (given) => {
        if (gone) return given.getTracks().forEach((track) => track.stop());
        stream = given;
        if (video.current) video.current.srcObject = given;
        return undefined;
      },
      (error: Error) => setProblem(`no camera: ${error.message}`),
    );
    return () => {
      gone = true;
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  const take = () => {
    const from = video.current;
    if (!from?.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = from.videoWidth;
    canvas.height = from.videoHeight;
    canvas.getContext("2d")!.drawImage(from, 0, 0);
    canvas.toBlob((picture) => picture && onPicture(picture), "image/jpeg", 0.92);
  };
  if (problem) return <p class="problem">{problem}</p>;
  return (
    <div class="camera">
      <video ref={video} autoPlay muted playsInline aria-label="The camera's picture" />
      <button type="button" class="primary" onClick={take}>
        Ask about this picture
      </button>
    </div>
  );
}

function Said({ answer }: { answer: Answer }) {
  const { classes } = answer;
  const rest = Object.entries(answer).filter(([key]) => !["model", "version", "task", "classes"].includes(key));
  return (
    <>
      {classes && (
        <ol class="classes">
          {classes.map((each) => (
            <li key={each.name}>
              <span>{each.name}</span>
              <meter min={0} max={1} value={each.probability} aria-label={each.name} />
              <span class="num">{percent(each.probability)}</span>
            </li>
          ))}
        </ol>
      )}
      {rest.map(([key, value]) => (
        <div key={key} class="said">
          <h3>{key}</h3>
          {Array.isArray(value) && value.length > 0 && typeof value[0] === "object" ? (
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    {Object.keys(value[0] as object).map((name) => (
                      <th scope="col" key={name}>
                        {name}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {(value as Record<string, unknown>[]).slice(0, 30).map((row, i) => (
                    <tr key={i}>
                      {Object.keys(value[0] as object).map((name) => (
                        <td key={name}>{typeof row[name] === "number" ? (row[name] as number).toPrecision(4) : typeof row[name] === "string" ? (row[name] as string) : JSON.stringify(row[name])}</td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          ) : (
            <p>{typeof value === "string" ? value : JSON.stringify(value)}</p>
          )}
        </div>
      ))}
    </>
  );
}

export function Try({ at }: { at: Place }) {
  const overview = useLoad<Overview>("/v1/workspace");
  const routes = useRoutes();
  const answers = routes?.has("/v1/models/{model}:predict");
  const names = (overview.data?.models ?? []).filter((each) => each.version > 0).map((each) => each.name);
  const name = at.parts[1] ?? names[0] ?? "";
  const [asked, setAsked] = useState<Asked[]>([]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [over, setOver] = useState(false);
  const [camera, setCamera] = useState(false);

  const put = async (picture: Blob, called: string) => {
    setBusy(true);
    setError(null);
    try {
      const path = `/v1/models/${part(name)}:predict`;
      const begun = performance.now();
      const answer = await ask<Answer>(`${path}?top=5`, { method: "POST", headers: { "Content-Type": picture.type || "application/octet-stream" }, body: picture });
      const took = performance.now() - begun;
      // Classes stand beside the picture; drawn onto a small one they would hide it.
      const drawn = answer.classes ? null : await drawnPicture(path, picture);
      setAsked((old) => [{ name: called, picture: URL.createObjectURL(picture), drawn, answer, took }, ...old].slice(0, 12));
    } catch (problem) {
      setError(problem as ApiError);
    }
    setBusy(false);
  };
  const putAll = async (files: Iterable<File>) => {
    for (const file of files) await put(file, file.name);
  };
  useEffect(() => {
    const onPaste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) void putAll(files);
    };
    addEventListener("paste", onPaste);
    return () => removeEventListener("paste", onPaste);
  });
  const last = asked[0];
  return (
    <>
      <div class="model-head">
        <Title text="Try" />
        <div class="choice">
          {names.length > 0 && (
            <select aria-label="Model" value={name} onChange={(e) => (location.hash = `#/try/${part(e.currentTarget.value)}`)}>
              {names.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          )}
          <button type="button" aria-pressed={camera} onClick={() => setCamera(!camera)}>
            Camera
          </button>
        </div>
      </div>
      {routes && !answers && (
        <Empty>
          This server shows the workspace but answers no pictures. <code>sightline serve</code> does both.
        </Empty>
      )}
      {overview.data && names.length === 0 && <Empty>No model is in force yet.</Empty>}
      {answers && name && (
        <>
          <label
            class={`drop ${over ? "over" : ""}`}
            onDragOver={(e) => (e.preventDefault(), setOver(true))}
            onDragLeave={() => setOver(false)}
            onDrop={(e) => (e.preventDefault(), setOver(false), void putAll(e.dataTransfer?.files ?? []))}
          >
            <input type="file" accept="image/*" multiple aria-label="Choose pictures" onChange={(e) => void putAll(e.currentTarget.files ?? [])} />
            <span>
              Drop a picture here, paste one, or <b>choose a file</b>
            </span>
          </label>
          {camera && <Camera onPicture={(picture) => void put(picture, "camera")} />}
          {error && <Problem error={error} />}
          {busy && <Waiting>{name} is looking</Waiting>}
          {last && (
            <div class="tried" aria-live="polite">
              <img src={last.drawn ?? last.picture} alt={`${last.name} with what ${last.answer.model} says`} />
              <Panel title={last.name} aside={`version ${last.answer.version} · ${milliseconds(last.took)} there and back`}>
                <Said answer={last.answer} />
              </Panel>
            </div>
          )}
          {asked.length > 1 && (
            <ul class="thumbs named earlier">
              {asked.slice(1).map((each) => (
                <li key={each.picture}>
                  <img class="picture" src={each.picture} alt={each.name} />
                  <span>
                    <b>{each.answer.classes?.[0]?.name ?? each.answer.model}</b> {milliseconds(each.took)}
                  </span>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </>
  );
}
