$ -- Colours and shapes of pictures and plots; the page's own are in page.html.tpl.
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #ffffff; --panel: #f6f8fa;
  --shade: #00000030;
  --skipped: #e6e9ed; --full: #2f6fb5; --partial: #f9dfb4; --seen: #d9822b;
  --c1: #1b1f24; --c2: #2f6fb5; --c3: #d9822b; --c4: #2a8c5a; --c5: #8a4fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --soft: #9aa4af; --line: #3a424c; --paper: #0d1117; --panel: #161b22;
    --shade: #ffffff30;
    --skipped: #2a3038; --full: #4c8fd6; --partial: #5a4520; --seen: #f0a04b;
    --c1: #e6edf3; --c2: #6aa9ec; --c3: #f0a04b; --c4: #57c38a; --c5: #bd93e8;
  }
}
svg.picture text, svg.plot text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg.picture text.soft, svg.plot text.soft { fill: var(--soft); }
.skipped { fill: var(--skipped); }
.full { fill: var(--full); }
.partial { fill: var(--partial); }
.seen { fill: var(--seen); }
.grid { fill: none; stroke: var(--paper); stroke-width: 0.7; vector-effect: non-scaling-stroke; }
.fine { stroke-width: 0.35; }
.edge { fill: none; stroke: var(--soft); stroke-width: 1; vector-effect: non-scaling-stroke; }
.frame { fill: none; stroke: var(--ink); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.axis { fill: none; stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
