extension PageTemplate {
  /// One style for all pages, light and dark.
  package static let style = """
    :root {
      color-scheme: light dark; --ground: #fbfaf7; --card: #ffffff; --ink: #22211f; --soft: #6b6862; --line: #dedad2;
      --accent: #0072b2; --on-accent: #ffffff; --bad: #d55e00;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --ground: #191a1c; --card: #222427; --ink: #e7e5e0; --soft: #a09d96; --line: #3a3c40;
        --accent: #6cb8e6; --on-accent: #191a1c;
      }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
    h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .5rem; }
    h2 { font-size: 1.4rem; margin: 0 0 .75rem; }
    h3 { font-size: 1.1rem; margin: 1.4rem 0 .5rem; }
    section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.4rem 1.6rem; margin: 1.5rem 0; }
    .lead { font-size: 1.1rem; color: var(--soft); }
    .equation { font-family: "STIX Two Text", Cambria, Georgia, serif; font-size: 1.1rem; overflow-x: auto; padding: .4rem 1rem; border-left: 3px solid var(--accent); }
    .source, .note, figcaption { color: var(--soft); font-size: .9rem; }
    .note { border-left: 3px solid #e69f00; padding-left: 1rem; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-size: .93rem; }
    th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
    th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
    .figures th:nth-child(2), .figures td:nth-child(2) { text-align: right; }
    th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
    a { color: var(--accent); }
    figure { margin: 1.2rem 0; } figcaption { margin-top: .35rem; }
    img.pixels { image-rendering: pixelated; max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
    .drawing svg { width: 100%; height: auto; color: var(--ink); }
    dl { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0; }
    dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
    .plain { padding-left: 1.1rem; } .met b { color: #009e73; } .unmet b { color: var(--bad); }
    .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: 1rem; }
    .cards figure { margin: 0; }
    .sheet { display: grid; grid-template-columns: minmax(8rem, 1fr) repeat(4, 8rem); gap: .5rem 1rem; padding: .8rem 0; border-top: 1px solid var(--line); }
    .sheet figure { margin: 0; } .sheet div { overflow-wrap: anywhere; }
    @media (max-width: 46rem) { .sheet { grid-template-columns: repeat(2, 8rem); } .sheet div { grid-column: 1 / -1; } }
    footer { color: var(--soft); font-size: .9rem; }
    """
}
