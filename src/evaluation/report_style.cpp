#include "evaluation/report_html.h"

namespace sightline::evaluation {

// Colours are named by role, once for light and once for dark; print is always light. Nothing is said by colour alone.
std::string_view report_style() {
  return R"css(
:root{color-scheme:light dark;--page:#f6f6f3;--card:#fff;--ink:#1b2126;--soft:#59636e;--line:#e1e3e0;--quiet:#eeefec;
--accent:#1d5fa6;--accent-soft:#d6e4f3;--warm:#a94a0b;--warm-soft:#f7dfcd;--good:#14693a;--good-soft:#dcf0e3;--bad:#ad1f17;--bad-soft:#fae0dd;
--d1:#e4eef8;--d2:#c3d9ee;--d3:#95bbdf;--d4:#5f97ca;--d5:#3072ae;--d6:#165089;--e1:#fcefe5;--e2:#fadcc6;--e3:#f3b98f;--e4:#e28f55;--e5:#bd5a1d;--e6:#8c3c08;
--on-strong:#fff;--cell:#fafaf8}
@media (prefers-color-scheme:dark){:root{--page:#111417;--card:#191d21;--ink:#e7eaed;--soft:#a3aeb8;--line:#2f363d;--quiet:#22282d;
--accent:#83b8f2;--accent-soft:#1e3550;--warm:#f2a766;--warm-soft:#4a2f18;--good:#71d29b;--good-soft:#163524;--bad:#ff958b;--bad-soft:#471d1a;
--d1:#17283a;--d2:#1b3a58;--d3:#22527f;--d4:#3572ab;--d5:#639dd6;--d6:#9ac7f5;--e1:#2c2118;--e2:#46301f;--e3:#6d4420;--e4:#9c5f28;--e5:#d38a48;--e6:#f9bd84;
--on-strong:#0d1013;--cell:#1e2327}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
-webkit-text-size-adjust:100%;overflow-wrap:anywhere}
main,header,footer,nav{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:40px}
h1{font-size:2.3rem;line-height:1.15;margin:.1em 0 .35em;letter-spacing:-.02em}
h2{font-size:1.3rem;margin:0 0 .25em;letter-spacing:-.01em}
h3{font-size:1rem;margin:0 0 .5em}
p{margin:.3em 0 .9em;max-width:76ch}
a{color:var(--accent)}
.eyebrow{color:var(--soft);font-size:.85rem;margin:0}
.soft{color:var(--soft)}
.small{font-size:.85rem}
.num{font-variant-numeric:tabular-nums}
.badge{display:inline-block;border-radius:99px;padding:.15em .8em;font-weight:650;border:1.5px solid currentColor}
.yes{color:var(--good);background:var(--good-soft)}
.no{color:var(--bad);background:var(--bad-soft)}
.verdict{border:1px solid var(--line);border-left:6px solid;border-radius:10px;background:var(--card);padding:16px 20px;margin:0 0 20px}
.verdict.pass{border-left-color:var(--good)}
.verdict.fail{border-left-color:var(--bad)}
.verdict>p{margin:.6em 0 0;max-width:none;font-size:1.06rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,225px),1fr));gap:12px;margin:0 0 24px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;display:flex;flex-direction:column}
.tile.lead{border-color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent)}
.tile .name{color:var(--soft);font-size:.85rem}
.tile .value{font-size:1.75rem;font-weight:650;line-height:1.25;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile .value small{font-size:.95rem;font-weight:500;letter-spacing:0}
.tile .note{font-size:.82rem;color:var(--soft);margin-top:2px;font-variant-numeric:tabular-nums}
.tile svg{margin-top:6px}
nav{margin-bottom:8px}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:0;padding:10px 0;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.9rem}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin:18px 0}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr));gap:20px 28px;align-items:start}
.columns.matrix{grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr))}
figure{margin:0}
.wide{max-width:860px;margin:0 auto 18px;overflow-x:auto}
.wide svg{min-width:620px}
.columns figure>svg{max-width:520px}
figcaption{font-size:.85rem;color:var(--soft);margin-top:4px}
svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;fill:var(--soft)}
svg .axis,svg .grid{stroke:var(--line);fill:none}
svg .axis{stroke:var(--soft)}
svg .a{stroke:var(--accent)}svg .w{stroke:var(--warm)}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:5 4}
svg circle.a{fill:var(--accent)}
svg circle.w{fill:var(--card);stroke-width:1.6}
svg text.a{fill:var(--accent);stroke:none;font-weight:600}svg text.w{fill:var(--warm);stroke:none;font-weight:600}
svg .bar{fill:var(--accent);opacity:.8}
svg .gap{fill:var(--warm-soft);stroke:var(--warm);stroke-width:1}
svg .soft{fill:var(--soft);opacity:.45}
svg .track{stroke:var(--quiet);stroke-width:6;stroke-linecap:round}
svg .span{stroke:var(--accent-soft);stroke-width:8;stroke-linecap:round}
svg .dot{fill:var(--accent)}
svg .goal{stroke:var(--ink);stroke-width:2}
svg .kept{fill:var(--accent)}
svg .tried{fill:none;stroke:var(--soft);opacity:.55}
svg .ring{fill:none;stroke:var(--warm);stroke-width:2.5}
svg text.number{fill:var(--ink);font-weight:650}
.plain{margin:0 0 14px;padding-left:1.2em;max-width:90ch}
svg .cell{fill:var(--cell)}
svg .z{fill:none;stroke:var(--line);stroke-width:.5}
svg .d1{fill:var(--d1)}svg .d2{fill:var(--d2)}svg .d3{fill:var(--d3)}svg .d4{fill:var(--d4)}svg .d5{fill:var(--d5)}svg .d6{fill:var(--d6)}
svg .e1{fill:var(--e1)}svg .e2{fill:var(--e2)}svg .e3{fill:var(--e3)}svg .e4{fill:var(--e4)}svg .e5{fill:var(--e5)}svg .e6{fill:var(--e6)}
svg rect[class^=d]:hover,svg rect[class^=e]:hover{stroke:var(--ink);stroke-width:1.5}
svg text.on{fill:var(--on-strong)}svg text.off{fill:var(--ink)}
svg text.cell-text{pointer-events:none;text-anchor:middle;fill:var(--ink)}svg text.cell-text.on{fill:var(--on-strong)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.38em .7em .38em 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}
th{color:var(--soft);font-weight:600;font-size:.82rem}
td.num,th.num{text-align:right;white-space:nowrap}
td.num+td:not(.num){padding-left:10px}
th[scope=row]{color:var(--ink);font-weight:500;font-size:.9rem}
tr:last-child>*{border-bottom:0}
.meter{display:inline-block;width:90px;height:8px;border-radius:4px;background:var(--quiet);vertical-align:middle;overflow:hidden}
.meter>i{display:block;height:100%;background:var(--accent)}
.checks{list-style:none;margin:0;padding:0}
.checks li{display:flex;gap:12px;padding:9px 0;border-bottom:1px solid var(--line);align-items:baseline}
.checks li:last-child{border-bottom:0}
.checks .badge{font-size:.78rem;flex:0 0 auto;min-width:6.2em;text-align:center}
.gallery{list-style:none;margin:0 0 8px;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:12px}
.gallery li{border:1px solid var(--line);border-radius:9px;overflow:hidden;background:var(--page);font-size:.8rem;line-height:1.4}
.picture{display:block;width:100%;height:auto;aspect-ratio:1;object-fit:contain;background:var(--quiet)}
.answers{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:14px}
.answers figure{display:grid;grid-template-columns:1fr 1fr;gap:2px;margin:0;border:1px solid var(--line);border-radius:9px;overflow:hidden;font-size:.85rem}
.strips{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,620px),1fr));gap:14px}
.strips figure{margin:0;border:1px solid var(--line);border-radius:9px;overflow:hidden;font-size:.85rem}.strips .picture{aspect-ratio:auto;width:100%;height:auto}
.answers .picture{aspect-ratio:auto}.answers figcaption{grid-column:1/-1}
.pixels{image-rendering:pixelated}
.reliability{max-width:380px}
.missing{display:flex;align-items:center;justify-content:center;padding:10px;text-align:center;color:var(--soft)}
.caption{padding:7px 9px 9px}
.caption dl{margin:0}
.caption dt{color:var(--soft);font-size:.74rem}
.caption dd{margin:0 0 3px;font-weight:650;color:var(--ink)}
.path{color:var(--soft);font-size:.74rem;display:block;margin-top:2px}
.strip{display:flex;flex-wrap:wrap;gap:8px;margin:6px 0 2px}
.strip .picture{width:84px;border-radius:6px}
.finding{padding:10px 0;border-bottom:1px solid var(--line)}
.finding:last-child{border-bottom:0}
.finding p{margin:0}
.chips{display:flex;flex-wrap:wrap;gap:8px;list-style:none;padding:0;margin:4px 0 14px}
.chips li{background:var(--quiet);border-radius:99px;padding:.2em .85em;font-size:.88rem}
dl.lineage{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:4px 18px;margin:0;font-size:.9rem}
dl.lineage dt{color:var(--soft)}
dl.lineage dd{margin:0;font-variant-numeric:tabular-nums}
dl.lineage dl.lineage{border-left:2px solid var(--line);padding-left:12px}
code{font:.88em ui-monospace,"Cascadia Mono","DejaVu Sans Mono",monospace}
details>summary{cursor:pointer;color:var(--accent);margin:8px 0}
footer{padding-top:6px;padding-bottom:40px;color:var(--soft);font-size:.85rem}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:560px){main,header,footer,nav{padding-left:14px;padding-right:14px}section{padding:16px 14px}h1{font-size:1.75rem}
.tiles{grid-template-columns:repeat(auto-fill,minmax(150px,1fr))}.gallery{grid-template-columns:repeat(auto-fill,minmax(128px,1fr))}
.meter{width:46px}dl.lineage{grid-template-columns:1fr}dl.lineage dt{margin-top:5px}.checks li{flex-direction:column;gap:4px}}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--quiet:#eee;
--accent:#1d5fa6;--accent-soft:#d6e4f3;--warm:#a94a0b;--warm-soft:#f7dfcd;--good:#14693a;--good-soft:#dcf0e3;--bad:#ad1f17;--bad-soft:#fae0dd;
--d1:#e4eef8;--d2:#c3d9ee;--d3:#95bbdf;--d4:#5f97ca;--d5:#3072ae;--d6:#165089;--e1:#fcefe5;--e2:#fadcc6;--e3:#f3b98f;--e4:#e28f55;--e5:#bd5a1d;--e6:#8c3c08;
--on-strong:#fff;--cell:#fafaf8}
body{font-size:11px;print-color-adjust:exact;-webkit-print-color-adjust:exact}nav{display:none}section{border:0;border-top:1px solid var(--line);border-radius:0;padding:12px 0}
figure,.tile,.gallery li,.answers figure,tr,.finding{break-inside:avoid}h2,h3{break-after:avoid}}
)css";
}

}  // namespace sightline::evaluation
