// Plots over uPlot in the colours of the page; redrawn when its width or the colours change.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Series {
  name: string;
  values: (number | null)[]; // one for each x
  kind?: "line" | "dashed" | "points" | "bars";
  colour?: string; // a custom property: "--accent"
}
export interface PlotProps {
  title: string;
  xName: string;
  x: number[];
  series: Series[];
  height?: number;
  yRange?: [number, number];
  xRange?: [number, number];
  whole?: boolean; // x are whole numbers
  digits?: number;
  onPoint?: (index: number) => void;
}

const palette = ["--accent", "--series2", "--series3", "--series4", "--series5", "--series6"];

// Counts up when the colours change.
function useColours(): number {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const next = () => setTurn((old) => old + 1);
    const watch = new MutationObserver(next);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => watch.disconnect();
  }, []);
  return turn;
}

export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const colours = useColours();
  const key = JSON.stringify([props.x, props.series, props.yRange, props.xRange]);
  useEffect(() => {
    const target = box.current;
    if (!target) return undefined;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const digits = props.digits ?? 3;
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui", gap: 4 };
    const paths = { points: () => null, bars: uPlot.paths.bars!({ size: [0.85, 60] }) };
    const plot = new uPlot(
      {
        width: Math.max(160, target.clientWidth),
        height: props.height ?? 210,
        cursor: { y: false, drag: { setScale: false } },
        legend: { live: true, markers: { width: 2 } },
        scales: {
          x: { time: false, ...(props.xRange ? { range: props.xRange } : {}) },
          y: props.yRange ? { range: props.yRange } : {},
        },
        axes: [
          { ...axis, label: props.xName, labelFont: "11px system-ui", labelSize: 18, size: 26, ...(props.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200] } : {}) },
          { ...axis, size: 46 },
        ],
        series: [
          { label: props.xName, value: (_: uPlot, v: number | null) => (v === null ? "–" : props.whole ? String(v) : v.toPrecision(4)) },
          ...props.series.map((each, i): uPlot.Series => {
            const stroke = colour(each.colour ?? palette[i % palette.length]);
            return {
              label: each.name,
              stroke,
              width: each.kind === "bars" ? 0 : 1.6,
              fill: each.kind === "bars" ? stroke + "66" : undefined,
              dash: each.kind === "dashed" ? [4, 4] : undefined,
              paths: each.kind === "points" ? paths.points : each.kind === "bars" ? paths.bars : undefined,
              points: { show: each.kind === "points" || (each.kind !== "bars" && props.x.length < 2), size: 8, fill: stroke },
              value: (_: uPlot, v: number | null) => (v === null || v === undefined ? "–" : v.toFixed(digits)),
              spanGaps: true,
            };
          }),
        ],
      },
      [props.x, ...props.series.map((each) => each.values)] as uPlot.AlignedData,
      target,
    );
    const onClick = () => plot.cursor.idx !== null && plot.cursor.idx !== undefined && props.onPoint?.(plot.cursor.idx);
    plot.over.addEventListener("click", onClick);
    const resized = new ResizeObserver(() => plot.setSize({ width: Math.max(160, target.clientWidth), height: props.height ?? 210 }));
    resized.observe(target);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [key, colours]);
  const says = props.series.map((each) => {
    const known = each.values.filter((v): v is number => v !== null);
    return known.length ? `${each.name} from ${known[0].toFixed(3)} to ${known[known.length - 1].toFixed(3)}` : each.name;
  });
  return (
    <figure class="plot">
      <figcaption>{props.title}</figcaption>
      <div ref={box} role="img" aria-label={`${props.title} over ${props.xName}: ${says.join("; ")}`} />
    </figure>
  );
}
