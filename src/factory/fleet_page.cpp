// The fleet's summary as one HTML file: what was built, how well, and what failed and why; filters without a server.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "evaluation/report_html.h"
#include "factory/fleet.h"

namespace sightline::factory {
namespace {

using evaluation::html_text;

constexpr const char* style = R"css(
.bar{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0;align-items:center}
.bar input,.bar select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:6px 10px}
.bar input{flex:1 1 220px}
.fleet{overflow-x:auto}
.fleet table{border-collapse:collapse;width:100%;font-size:.88rem}
.fleet th{position:sticky;top:0;background:var(--card);text-align:left;cursor:pointer;border-bottom:2px solid var(--line);padding:6px 8px;white-space:nowrap}
.fleet td{border-bottom:1px solid var(--line);padding:5px 8px;vertical-align:top}
.fleet td.n,.fleet th.n{text-align:right;font-variant-numeric:tabular-nums}
.fleet th button{all:unset;cursor:pointer;font-weight:650}
.fleet th button:focus-visible{outline:2px solid var(--accent)}
.fleet td:last-child{max-width:280px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.fleet td:first-child{white-space:nowrap}
.range{position:relative;display:inline-block;width:110px;height:12px;background:var(--quiet);border-radius:3px;vertical-align:middle}
.range i{position:absolute;top:3px;bottom:3px;background:var(--d4);border-radius:2px}
.range b{position:absolute;top:0;bottom:0;width:2px;background:var(--ink)}
.range u{position:absolute;top:0;bottom:0;width:1px;background:var(--warm)}
)css";

// Rows are filtered and sorted where they stand; without script the page is the whole table.
constexpr const char* script = R"js(
const body=document.querySelector('.fleet tbody'),rows=[...body.rows],words=document.getElementById('words'),
group=document.getElementById('group'),outcome=document.getElementById('outcome'),shown=document.getElementById('shown');
function filter(){const w=words.value.toLowerCase().split(/\s+/).filter(Boolean);let n=0;
for(const r of rows){const t=r.dataset.t;const ok=w.every(x=>t.includes(x))&&(!group.value||r.dataset.g===group.value)&&
(!outcome.value||r.dataset.o.split(' ').includes(outcome.value));r.hidden=!ok;n+=ok}shown.textContent=n+' of '+rows.length+' shown'}
for(const e of[words,group,outcome])e.addEventListener('input',filter);
document.querySelectorAll('.fleet th button').forEach((b,i)=>{b.addEventListener('click',()=>{const down=b.dataset.d!=='1';b.dataset.d=down?'1':'0';
const v=r=>r.cells[i].dataset.v??r.cells[i].textContent;
rows.sort((x,y)=>{const a=v(x),c=v(y),n=a-c;const s=isNaN(n)?(a<c?-1:a>c?1:0):n;return down?s:-s});body.append(...rows)})});
filter();
)js";

std::string options_of(const std::map<std::string, std::size_t>& counts, const char* all) {
  std::string html = fmt::format("<option value=\"\">{}</option>", all);
  for (const auto& [name, count] : counts)
    html += fmt::format("<option value=\"{}\">{} ({})</option>", html_text(name), html_text(name.empty() ? "no group" : name), count);
  return html;
}

std::string tile(const std::string& name, const std::string& value, const std::string& note) {
  return fmt::format(
      "<div class=\"tile\"><span class=\"name\">{}</span><span class=\"value\">{}</span><span class=\"note\">{}</span></div>", name, value,
      note);
}

std::string range_of(const FleetRow& row) {
  return fmt::format(
      "<span class=\"range\" role=\"img\" aria-label=\"{:.3f}, from {:.3f} to {:.3f}, chance {:.3f}\"><i "
      "style=\"left:{:.1f}%;width:{:.1f}%\"></i>"
      "<u style=\"left:{:.1f}%\"></u><b style=\"left:{:.1f}%\"></b></span>",
      row.balanced_accuracy, row.interval.low, row.interval.high, row.chance, 100 * row.interval.low,
      100 * (row.interval.high - row.interval.low), 100 * row.chance, 98.5 * row.balanced_accuracy);
}

std::string table_row(const FleetRow& row) {
  std::string text = row.name + " " + row.group + " " + row.sentence;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const bool measured = row.outcome != "failed";
  const std::string states = row.outcome + (measured && !row.excludes_chance ? " chance" : "");
  std::string html =
      fmt::format("<tr data-t=\"{}\" data-g=\"{}\" data-o=\"{}\"><td>{}</td><td>{}</td><td><span class=\"badge small {}\">{}</span></td>",
                  html_text(text), html_text(row.group), states, html_text(row.name), html_text(row.group),
                  row.outcome == "released" ? "yes" : "no", row.outcome);
  if (measured) {
    html += fmt::format(
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\" data-v=\"{}\">{:.3f}</td><td>{}</td>",
        row.classes, row.train, row.test, row.balanced_accuracy, row.balanced_accuracy, range_of(row));
  } else {
    html += "<td class=\"n\"></td><td class=\"n\"></td><td class=\"n\"></td><td class=\"n\" data-v=\"-1\"></td><td></td>";
  }
  return html + fmt::format("<td class=\"small soft\" title=\"{0}\">{0}</td></tr>\n", html_text(row.sentence));
}

}  // namespace

std::string fleet_page(const demand::Fleet& fleet, const FleetOutcome& outcome, const std::string& created) {
  std::map<std::string, std::size_t> groups, outcomes;
  std::size_t measured = 0, chance = 0;
  std::vector<double> accuracies;
  for (const FleetRow& row : outcome.rows) {
    ++groups[row.group];
    ++outcomes[row.outcome];
    if (row.outcome == "failed") continue;
    ++measured;
    chance += row.excludes_chance ? 0 : 1;
    accuracies.push_back(row.balanced_accuracy);
  }
  if (chance > 0) outcomes["chance"] = chance;
  std::sort(accuracies.begin(), accuracies.end());
  std::string html = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">"
      "<title>{0}: fleet</title><style>{1}{2}</style></head><body><header><p class=\"eyebrow\">Fleet</p><h1>{0}</h1>"
      "<p class=\"soft\">{3}. {4} looked at, {5} computed by the backbone and {6} found computed; {7}.</p></header><main><div "
      "class=\"tiles\">",
      html_text(fleet.name), evaluation::report_style(), style, html_text(created), plural(outcome.pictures, "picture"),
      human_count(outcome.computed), human_count(outcome.reused), human_seconds(outcome.seconds));
  html += tile("demands", human_count(outcome.rows.size()), plural(groups.size(), "group"));
  html += tile("released", human_count(outcomes["released"]), "");
  html += tile("refused at the gate", human_count(outcomes["refused"]), "below the target, or over a limit");
  html += tile("failed", human_count(outcomes["failed"]), outcomes["failed"] > 0 ? "the last column says why" : "");
  if (!accuracies.empty())
    html += tile("balanced accuracy", fmt::format("{:.3f}", accuracies[accuracies.size() / 2]),
                 fmt::format("median; a tenth lies below {:.3f}", accuracies[accuracies.size() / 10]));
  html += tile("not shown to beat chance", human_count(chance), fmt::format("of {} measured", human_count(measured)));
  outcomes.erase("");
  std::erase_if(outcomes, [](const auto& each) { return each.second == 0; });
  html += fmt::format(
      "</div><section><div class=\"bar\"><input id=\"words\" type=\"search\" placeholder=\"Filter by words\" aria-label=\"Filter by "
      "words\">"
      "<select id=\"group\" aria-label=\"Group\">{}</select><select id=\"outcome\" aria-label=\"Outcome\">{}</select>"
      "<span id=\"shown\" class=\"soft small\" role=\"status\"></span></div><div class=\"fleet\"><table><thead><tr>",
      options_of(groups, "All groups"), options_of(outcomes, "All outcomes"));
  for (const auto& [title, number] : {std::pair{"name", false},
                                      {"group", false},
                                      {"outcome", false},
                                      {"classes", true},
                                      {"train", true},
                                      {"test", true},
                                      {"balanced accuracy", true},
                                      {"95% interval, chance", false},
                                      {"the gate's words", false}})
    html += fmt::format("<th{} scope=\"col\"><button>{}</button></th>", number ? " class=\"n\"" : "", title);
  html += "</tr></thead><tbody>\n";
  for (const FleetRow& row : outcome.rows) html += table_row(row);
  html += fmt::format("</tbody></table></div></section></main><script>{}</script></body></html>\n", script);
  return html;
}

}  // namespace sightline::factory
