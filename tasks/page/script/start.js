startTheme();
startBriefs();
startViewer();
startGraph();
