def rho_figure(frame, path):
    frame.to_string(path)


price_response_figure = rho_figure
